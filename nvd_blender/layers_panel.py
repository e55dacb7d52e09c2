"""The sidebar beside the shot: how every layer is shown, and what can be done with its atlas."""

from typing import Any

import bpy

from . import atlas_files, carried, compat, coverage
from .labels import paragraph
from .layer_group import CONTROLS
from .layers import group_of, is_on
from .results import BUILT_KEY, MODE_SWITCH, ONION, atlas_nodes, node_of, path_of


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
        for layer, node in atlas_nodes(scene).items():
            _draw_layer(self.layout.box(), scene, layer, node.image)
        self.layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE").result = scene.name
        self.layout.operator("nvd.render_result", text="Render Result…", icon="RENDER_ANIMATION").result = scene.name


def _draw_views(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """What of the shot is shown."""
    switch, onion = node_of(scene, MODE_SWITCH), node_of(scene, ONION)
    column = layout.column()
    if switch:
        column.prop(*compat.switch_property(switch), text="Rebuild from Layers", toggle=True)
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
    if carried.has_masks(scene, layer):
        count = len(carried.unsaved(scene, layer))
        row = layout.row(align=True)
        _button(row, "nvd.correct_mask", scene, layer, text=f"Correct Mask{' *' * bool(count)}", icon="MOD_MASK")
        if count:
            _button(row, "nvd.save_masks", scene, layer, text="", icon="FILE_TICK")
    if atlas_files.is_newer_on_disk(atlas):
        paragraph(layout, "Another program has saved this atlas. Reload it, or save yours over it.", icon="ERROR")


def _button(
    layout: bpy.types.UILayout,
    operator: str,
    scene: bpy.types.Scene,
    layer: str,
    **options: Any,  # noqa: ANN401
) -> None:
    button = layout.operator(operator, **options)
    button.result, button.layer = scene.name, layer


register, unregister = bpy.utils.register_classes_factory((NVD_PT_layers,))
