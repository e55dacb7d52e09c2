"""The objects of a clip, front to back: where each one's mask comes from, and how they are listed in the sidebar."""

from __future__ import annotations

from typing import Final

import bpy

from . import compat

_SOURCES: Final = (
    ("FILE", "Files", "Pictures, one picture or a video; white marks the object", "FILE_FOLDER", 0),
    ("MASK", "Blender Mask", "Drawn in the Clip or Image editor; may be animated or follow tracks", "MOD_MASK", 1),
    ("STRIP", "Strip", "Another movie or image strip of the Sequencer; white marks the object", "SEQUENCE", 2),
    ("ALPHA", "Alpha", "The alpha of the clip itself", "IMAGE_ALPHA", 3),
)  # fmt: skip
_ICONS: Final = {name: icon for name, _, _, icon, _ in _SOURCES}

_CLOCKS: Final = (
    (
        "FOOTAGE",
        "Footage",
        "The footage's first frame is the mask's frame 1, as in the Clip editor with a clip that starts there, "
        "wherever the strip stands",
    ),
    ("TIMELINE", "Timeline", "The mask is taken as it is at the scene's frames at which the strip is shown"),
)


class NVD_PG_mask(bpy.types.PropertyGroup):
    """One object's mask."""

    name: bpy.props.StringProperty(name="Layer", description="Name of the object's layer", default="object")
    source: bpy.props.EnumProperty(name="Mask", description="Where the object's mask comes from", items=_SOURCES)
    path: bpy.props.StringProperty(
        name="Files",
        description="Folder of pictures, one picture, or a video; white marks the object",
        subtype="DIR_PATH",
    )
    mask: bpy.props.PointerProperty(name="Name", description="The mask", type=bpy.types.Mask)
    layer: bpy.props.StringProperty(name="Layer", description="The mask's layer; all that are not hidden if empty")
    clock: bpy.props.EnumProperty(name="Frames", description="Which frame of the mask is whose", items=_CLOCKS)
    strip: bpy.props.StringProperty(
        name="Name",
        description="The strip. What it shows at the same time as the clip is the mask; a single picture is for all "
        "frames. Blending, effects and transforms do not count",
    )


class NVD_UL_objects(bpy.types.UIList):
    """Objects front to back."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: bpy.types.AnyType,
        item: bpy.types.AnyType,
        _icon: int,
        _active_data: bpy.types.AnyType,
        _active_property: str,
        _index: int,
        _flag: int,
    ) -> None:
        """Name, and where the mask comes from."""
        layout.prop(item, "name", text="", emboss=False, icon=_ICONS[item.source])


def draw_objects(layout: bpy.types.UILayout, scene: bpy.types.Scene, *, are_strips: bool) -> None:
    """The list, and below it what belongs to the chosen object.

    Args:
        layout: where it goes.
        scene: whose objects.
        are_strips: whether what is decomposed is a strip, not a movie clip.
    """
    group = scene.nvd
    layout.label(text="Objects, front to back")
    row = layout.row()
    row.template_list("NVD_UL_objects", "", group, "masks", group, "active_mask", rows=3 if group.masks else 2)
    buttons = row.column(align=True)
    for action, icon in (("ADD", "ADD"), ("REMOVE", "REMOVE"), ("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN")):
        if group.masks or action == "ADD":
            buttons.operator("nvd.edit_objects", text="", icon=icon).action = action
    if 0 <= group.active_mask < len(group.masks):
        _draw_mask(layout, group.masks[group.active_mask], scene.sequence_editor, are_strips=are_strips)
    layout.separator()


def _draw_mask(
    layout: bpy.types.UILayout, item: NVD_PG_mask, editor: bpy.types.SequenceEditor | None, *, are_strips: bool
) -> None:
    column = layout.column()
    column.use_property_split = True
    column.prop(item, "source")
    if item.source == "FILE":
        column.prop(item, "path")
    elif item.source == "MASK":
        column.prop(item, "mask")
        if item.mask:
            column.prop_search(item, "layer", item.mask, "layers")
            if are_strips:
                column.prop(item, "clock")
    elif item.source == "STRIP" and editor:
        compat.search_strip(column, item, "strip", editor)
