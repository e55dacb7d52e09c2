"""The sidebar of the Sequencer and the Clip editor: what to decompose, how far it is, what came out."""

from typing import Final

import bpy

from nvd_core.errors import NvdError, SetupError

from . import compat, engine, footage, outlook
from .labels import paragraph
from .objects import draw_objects
from .progress import draw_jobs
from .properties import NVD_PG_settings
from .results import results

_SHOWN_ABOVE: Final = ("preset", "find")


class _Panel:
    bl_label = "Layers"
    bl_region_type = "UI"
    bl_category = "Layers"

    def draw(self, context: bpy.types.Context) -> None:
        """Drawn by Blender."""
        scene = compat.sequencer_scene(context) if self.bl_space_type == "SEQUENCE_EDITOR" else context.scene
        _draw_engine(self.layout)
        draw_jobs(self.layout)
        draw_objects(self.layout, scene, are_strips=self.bl_space_type == "SEQUENCE_EDITOR")
        _draw_job(self.layout, scene)
        _draw_forecast(self.layout, context)
        self.layout.operator("nvd.decompose_clip", icon="RENDERLAYERS")
        _draw_results(self.layout)


class NVD_PT_sequencer(_Panel, bpy.types.Panel):
    """In the Sequencer."""

    bl_space_type = "SEQUENCE_EDITOR"


class NVD_PT_clip(_Panel, bpy.types.Panel):
    """In the Clip editor."""

    bl_space_type = "CLIP_EDITOR"


def _draw_engine(layout: bpy.types.UILayout) -> None:
    """Where there is no engine, what to do about it."""
    try:
        engine.worker_python()
    except SetupError as error:
        paragraph(layout, str(error), icon="INFO")
        layout.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = __package__


def _draw_job(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    layout.use_property_split = True
    layout.prop(scene.nvd.settings, "preset")
    header, body = layout.panel("nvd_options", default_closed=True)
    header.label(text="Options")
    if body:
        for name in NVD_PG_settings.__annotations__:
            if name not in _SHOWN_ABOVE:
                body.prop(scene.nvd.settings, name)
        body.prop(scene.nvd, "folder")


def _draw_forecast(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What it will take, where the clip's size is known, and whether there is room for it."""
    try:
        chosen = footage.selected(context)
    except NvdError:
        return
    try:
        takes, folder = outlook.expected(chosen), outlook.folder_of(chosen)
    except NvdError as error:
        paragraph(layout, str(error), icon="ERROR")
        return
    if takes:
        parts = str(takes).replace(" ", "\xa0").replace(",\xa0", ", ")
        paragraph(layout, f"{parts[0].upper()}{parts[1:]}", icon="TIME")
        if missing := outlook.shortage(folder, takes):
            paragraph(layout, missing, icon="ERROR")


def _draw_results(layout: bpy.types.UILayout) -> None:
    for scene in results():
        layout.operator(
            "nvd.open_layers", text=f"Paint {scene.name.removeprefix('NVD ')}", icon="BRUSH_DATA"
        ).result = scene.name
    if results():
        layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE")
    layout.operator("nvd.load_result", icon="FILE_FOLDER")


register, unregister = bpy.utils.register_classes_factory((NVD_PT_sequencer, NVD_PT_clip))
