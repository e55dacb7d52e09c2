"""The sidebar of the Sequencer and the Clip editor: what to decompose, how far it is, what came out."""

from typing import ClassVar

import bpy

from nvd_core.errors import NvdError, SetupError

from . import compat, engine, footage, outlook
from .compositor import atlas_nodes, results
from .labels import paragraph
from .progress import draw_jobs
from .properties import NVD_PG_settings


class _Panel:
    bl_label = "Layers"
    bl_region_type = "UI"
    bl_category = "Layers"

    def draw(self, context: bpy.types.Context) -> None:
        """Drawn by Blender."""
        scene = compat.sequencer_scene(context) if self.bl_space_type == "SEQUENCE_EDITOR" else context.scene
        _draw_engine(self.layout)
        _draw_job(self.layout, scene)
        _draw_forecast(self.layout, context)
        draw_jobs(self.layout)
        _draw_results(self.layout)


class NVD_PT_sequencer(_Panel, bpy.types.Panel):
    """In the Sequencer."""

    bl_space_type = "SEQUENCE_EDITOR"


class NVD_PT_clip(_Panel, bpy.types.Panel):
    """In the Clip editor."""

    bl_space_type = "CLIP_EDITOR"


class NVD_OT_edit_masks(bpy.types.Operator):
    """Add or remove an object's masks"""

    bl_idname = "nvd.edit_masks"
    bl_label = "Edit Masks"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    remove: bpy.props.IntProperty(default=-1, description="Which to remove; none: add one")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        in_clip_editor = context.area is not None and context.area.type == "CLIP_EDITOR"
        masks = (context.scene if in_clip_editor else compat.sequencer_scene(context)).nvd.masks
        if self.remove < 0:
            masks.add().name = f"object{len(masks) + 1}"
        else:
            masks.remove(self.remove)
        return {"FINISHED"}


def _draw_engine(layout: bpy.types.UILayout) -> None:
    """Where there is no engine, what to do about it."""
    try:
        engine.worker_python()
    except SetupError as error:
        paragraph(layout, str(error), icon="INFO")
        layout.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = __package__


def _draw_job(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    layout.use_property_split = True
    for index, mask in enumerate(scene.nvd.masks):
        row = layout.row(align=True)
        row.use_property_split = False
        row.prop(mask, "name", text="")
        row.prop(mask, "path", text="")
        row.operator("nvd.edit_masks", text="", icon="X").remove = index
    layout.operator("nvd.edit_masks", text="Add Object", icon="ADD").remove = -1
    for name in NVD_PG_settings.__annotations__:
        layout.prop(scene.nvd.settings, name)
    layout.prop(scene.nvd, "folder")
    layout.operator("nvd.decompose_clip", icon="RENDERLAYERS")


def _draw_forecast(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What it will take, where the clip's size is known, and whether there is room for it."""
    try:
        chosen = footage.selected(context)
    except NvdError:
        return
    try:
        takes = outlook.expected(chosen)
    except NvdError as error:
        paragraph(layout, str(error), icon="ERROR")
        return
    if takes:
        parts = str(takes).replace(" ", "\xa0").replace(",\xa0", ", ")
        paragraph(layout, f"{parts[0].upper()}{parts[1:]}", icon="TIME")
        if missing := outlook.shortage(outlook.folder_of(chosen), takes):
            paragraph(layout, missing, icon="ERROR")


def _draw_results(layout: bpy.types.UILayout) -> None:
    for scene in results():
        layout.label(text=scene.name)
        for layer in atlas_nodes(scene):
            button = layout.operator("nvd.paint_atlas", text=f"Paint {layer}", icon="BRUSH_DATA")
            button.result, button.layer = scene.name, layer
    layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE")
    layout.operator("nvd.load_result", icon="FILE_FOLDER")


register, unregister = bpy.utils.register_classes_factory((NVD_PT_sequencer, NVD_PT_clip, NVD_OT_edit_masks))
