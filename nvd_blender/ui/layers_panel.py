"""The sidebar beside the shot: how every layer is shown, and what can be done with its atlas."""

from typing import Any

import bpy

from ..engine import tasks
from ..host import compat, nodes
from ..host.labels import paragraph
from ..jobs import beside, clean_plate
from ..result import atlas_files, coverage, generated_masks, mask_view, paint
from ..result.layer_group import CONTROLS
from ..result.layers import group_of, is_on
from ..result.scenes import BUILT_KEY, MODE_SWITCH, ONION, atlas_nodes, folder_of, node_of, path_of
from . import inserts_panel, panels, progress, sheet


class NVD_PT_layers(bpy.types.Panel):
    """In the Image editor of a result's scene."""

    bl_label = "Layers"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Layers"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is something to set."""
        return BUILT_KEY in context.scene

    def draw(self, context: bpy.types.Context) -> None:
        """Drawn by Blender."""
        scene = context.scene
        _draw_views(self.layout, scene)
        inserts_panel.draw_disagreement(self.layout, scene)
        sheet.draw(self.layout, scene)
        for layer, node in atlas_nodes(scene).items():
            _draw_layer(self.layout.box(), scene, layer, node.image)
        panels.draw_quality(self.layout, scene)
        self.layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE").result = scene.name
        self.layout.operator("nvd.render_result", text="Render Result…", icon="RENDER_ANIMATION").result = scene.name
        row = self.layout.row()
        row.enabled = not tasks.running()
        row.operator("nvd.render_clean_plate", text="Render Clean Plate…", icon="IMAGE_BACKGROUND").result = scene.name
        if task := beside.latest(clean_plate.CleanPlate, folder_of(scene)):
            progress.draw_clean_plate(self.layout, task)


def _draw_views(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """What of the shot is shown."""
    switch, onion = node_of(scene, MODE_SWITCH), node_of(scene, ONION)
    column = layout.column()
    if switch:
        column.prop(*nodes.switch_property(switch), text="Rebuild from Layers", toggle=True)
    if onion:
        column.prop(onion.inputs[0], "default_value", text="Plate over the Shot", slider=True)
    column.operator("nvd.show_coverage", icon="OVERLAY", depress=coverage.is_shown())


def _draw_layer(layout: bpy.types.UILayout, scene: bpy.types.Scene, layer: str, atlas: bpy.types.Image) -> None:
    group = group_of(scene, layer)
    is_canvas = scene.tool_settings.image_paint.canvas == atlas
    row = layout.row(align=True)
    if group:
        eye, star = (
            "HIDE_ON" if is_on(group, "hidden") else "HIDE_OFF",
            "SOLO_ON" if is_on(group, "solo") else "SOLO_OFF",
        )
        _button(row, "nvd.show_layer", scene, layer, text="", icon=eye, emboss=False)
        _button(row, "nvd.solo_layer", scene, layer, text="", icon=star, emboss=False)
    _button(row, "nvd.paint_atlas", scene, layer, text=layer, icon="BRUSH_DATA", depress=is_canvas)
    if group:
        column = layout.column(align=True)
        for control in CONTROLS:
            column.prop(group.inputs[control.name], "default_value", text=control.name, slider=control.most == 1)
    row = layout.row(align=True)
    row.label(text=f"{path_of(atlas).name if path_of(atlas) else atlas.name}{' *' if atlas.is_dirty else ''}")
    _button(row, "nvd.save_atlas", scene, layer, text="", icon="FILE_TICK")
    _button(row, "nvd.reload_atlas", scene, layer, text="", icon="FILE_REFRESH")
    _button(row, "nvd.exchange_atlas", scene, layer, text="", icon="FILEBROWSER")
    _button(row, "nvd.edit_atlas_elsewhere", scene, layer, text="", icon="WINDOW")
    _button(row, "nvd.revert_atlas", scene, layer, text="", icon="LOOP_BACK")
    inserts_panel.draw_inserts(layout, scene, layer)
    if generated_masks.has_masks(scene, layer):
        _draw_mask(layout, scene, layer)
    if refusal := atlas_files.refused.get(path_of(atlas)):
        paragraph(layout, f"{refusal.sentence} The one before is shown.", icon="ERROR")
    if paint.is_newer_on_disk(atlas):
        paragraph(layout, "Another program has saved this atlas. Reload it, or save yours over it.", icon="ERROR")


def _draw_mask(layout: bpy.types.UILayout, scene: bpy.types.Scene, layer: str) -> None:
    """Correcting the layer's masks."""
    unsaved, is_corrected = generated_masks.unsaved(scene, layer), mask_view.corrected(scene) == layer
    row = layout.row(align=True)
    text = f"Correct Mask{' *' if unsaved else ''}"
    _button(row, "nvd.correct_mask", scene, layer, text=text, icon="MOD_MASK", depress=is_corrected)
    if unsaved:
        _button(row, "nvd.save_masks", scene, layer, text="", icon="FILE_TICK")
    if newer := next(filter(paint.is_newer_on_disk, unsaved), None):
        said = f"Another program has saved {path_of(newer).name}. Reload it, or save yours over it."
        paragraph(layout, said, icon="ERROR")
        _button(layout, "nvd.reload_masks", scene, layer, icon="FILE_REFRESH")
    if is_corrected:
        colour = tuple(compat.brush(scene).color)
        row = layout.row(align=True)
        for is_object, text, its in ((True, "Object", mask_view.OBJECT), (False, "Not Object", mask_view.NOT_OBJECT)):
            _button(row, "nvd.mask_brush", scene, layer, text=text, depress=colour == its).is_object = is_object


def _button(
    layout: bpy.types.UILayout,
    operator: str,
    scene: bpy.types.Scene,
    layer: str,
    **options: Any,  # noqa: ANN401
) -> bpy.types.OperatorProperties:
    button = layout.operator(operator, **options)
    button.result, button.layer = scene.name, layer
    return button


register, unregister = bpy.utils.register_classes_factory((NVD_PT_layers,))
