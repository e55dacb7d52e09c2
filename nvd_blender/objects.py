"""The objects of a clip, front to back: where each one's mask comes from, and how they are listed in the sidebar."""

from __future__ import annotations

import re
from typing import Final

import bpy

from nvd_core.errors import InputError

from . import compat
from .labels import paragraph

_SOURCES: Final = (
    ("FILE", "Files", "Pictures, one picture or a video; white marks the object", "FILE_FOLDER", 0),
    ("MASK", "Blender Mask", "Drawn in the Clip or Image editor; may be animated or follow tracks", "MOD_MASK", 1),
    ("STRIP", "Strip", "Another movie or image strip of the Sequencer; white marks the object", "SEQUENCE", 2),
    ("ALPHA", "Alpha", "The alpha of the clip itself", "IMAGE_ALPHA", 3),
)  # fmt: skip
_ICONS: Final = {name: icon for name, _, _, icon, _ in _SOURCES}

_WITHOUT: Final = {
    "moving": "With no object in the list, what moves against the camera is found by itself.",
    "nothing": "With no object in the list, the whole clip is one background.",
}

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
    picture: bpy.props.StringProperty(
        name="Picture", description="The mask of that one frame; white marks the object", subtype="FILE_PATH"
    )
    frames: bpy.props.StringProperty(
        name="Carried From",
        description="Frames at which the mask fits, by the playhead: 12, or 12, 40. It is carried to all others. If "
        "empty, there is a mask for every frame",
    )
    mask: bpy.props.PointerProperty(name="Name", description="The mask", type=bpy.types.Mask)
    layer: bpy.props.StringProperty(name="Layer", description="The mask's layer; all that are not hidden if empty")
    clock: bpy.props.EnumProperty(name="Frames", description="Which frame of the mask is whose", items=_CLOCKS)
    locked: bpy.props.BoolProperty(
        name="Lock Matte", description="The layer's alpha is this mask as it is, whatever the solver learns"
    )
    strip: bpy.props.StringProperty(
        name="Name",
        description="The strip. What it shows at the same time as the clip is the mask; a single picture is for all "
        "frames. Blending, effects and transforms do not count",
    )


def is_carried(item: NVD_PG_mask) -> bool:
    """Whether an object's mask is of some frames alone. The clip's alpha never is."""
    return bool(item.frames.strip()) and item.source != "ALPHA"


def frames_of(item: NVD_PG_mask) -> list[int]:
    """The frames that a mask is carried from, as the playhead counts them.

    Raises:
        InputError: the field says something else.
    """
    words = re.split(r"[\s,;]+", item.frames.strip(" ,;"))
    if not all(re.fullmatch(r"-?[0-9]{1,7}", word) for word in words):
        raise InputError(f"{item.frames!r} are no frames", where=item.name, hint="Write them as 12, or as 12, 40.")
    return sorted({int(word) for word in words})


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
    elif not group.masks:
        column = layout.column()
        column.use_property_split = True
        column.row().prop(group.settings, "find", expand=True)
        paragraph(column, _WITHOUT[group.settings.find], icon="INFO")
    layout.separator()


def _draw_mask(
    layout: bpy.types.UILayout, item: NVD_PG_mask, editor: bpy.types.SequenceEditor | None, *, are_strips: bool
) -> None:
    column = layout.column()
    column.use_property_split = True
    column.prop(item, "source")
    if item.source == "FILE":
        column.prop(item, "picture" if is_carried(item) else "path")
    elif item.source == "MASK":
        column.prop(item, "mask")
        if item.mask:
            column.prop_search(item, "layer", item.mask, "layers")
            if are_strips:
                column.prop(item, "clock")
    elif item.source == "STRIP" and editor:
        compat.search_strip(column, item, "strip", editor)
    if item.source != "ALPHA":
        _draw_frames(column.row(align=True), item)
    column.prop(item, "locked")


def _draw_frames(row: bpy.types.UILayout, item: NVD_PG_mask) -> None:
    """Whether the mask is there for every frame, or which it is carried from."""
    if not is_carried(item):
        row.operator("nvd.carry_mask", text="Carry From This Frame", icon="KEYFRAME").action = "ADD"
        return
    row.prop(item, "frames")
    row.operator("nvd.carry_mask", text="", icon="KEYFRAME").action = "ADD"
    row.operator("nvd.carry_mask", text="", icon="X").action = "CLEAR"
