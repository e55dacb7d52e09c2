"""Draw the list of a clip's objects in the sidebar, and the fields of the active one."""

from __future__ import annotations

from typing import ClassVar, Final

import bpy

from nvd_core.spec.choices.finders import FINDERS, Moving

from ..host import compat
from ..host.labels import paragraph
from ..jobs.preflight import Objection, fault
from ..source.footage import Selected
from ..source.key_frames import in_timeline, is_carried
from ..source.objects import ICONS, NVD_PG_mask, active_of, row_of

_WITHOUT: Final = {
    "moving": "With no object in the list, what moves against the camera is found by itself.",
    "nothing": "With no object in the list, the whole clip is one background.",
}


class NVD_UL_objects(bpy.types.UIList):
    """Objects front to back.

    Attributes:
        at_fault: places of those with which something is wrong.
    """

    at_fault: ClassVar[set[int]] = set()

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: bpy.types.AnyType,
        item: bpy.types.AnyType,
        _icon: int,
        _active_data: bpy.types.AnyType,
        _active_property: str,
        index: int,
        _flag: int,
    ) -> None:
        """Draw an object's name and the icon of its mask's source, in red if it is at fault."""
        layout.alert = index in self.at_fault
        layout.prop(item, "name", text="", emboss=False, icon=ICONS.get(item.source, "NONE"))


def draw_objects(
    layout: bpy.types.UILayout,
    group: bpy.types.PropertyGroup,
    found: list[Objection],
    scene: bpy.types.Scene,
    chosen: Selected | None,
    *,
    are_strips: bool,
) -> None:
    """Draw the list of objects, and below it the fields of the active object.

    Args:
        layout: that gets the list.
        group: objects of the strip or movie clip.
        found: objections to the job.
        scene: of the strip or movie clip.
        chosen: strip or movie clip with its footage, if that can be used.
        are_strips: whether the editor decomposes strips, not movie clips.
    """
    layout.label(text="Front to back")
    NVD_UL_objects.at_fault = {one.index for one in found}
    row = layout.row()
    row.template_list("NVD_UL_objects", "", group, "masks", group, "active_mask", rows=3 if group.masks else 2)
    buttons = row.column(align=True)
    for action, icon in (("ADD", "ADD"), ("REMOVE", "REMOVE"), ("UP", "TRIA_UP"), ("DOWN", "TRIA_DOWN")):
        if group.masks or action == "ADD":
            buttons.operator("nvd.edit_objects", text="", icon=icon).action = action
    if item := active_of(group):
        for one in found:
            if one.index >= 0 and (one.index, one.field) != (group.active_mask, "mask"):
                paragraph(layout, f"{group.masks[one.index].name}: {one.sentence}", icon="ERROR", alert=True)
        said = fault(found, "mask", group.active_mask)
        _draw_mask(layout, item, said, scene.sequence_editor, chosen, are_strips=are_strips)
    elif not group.masks:
        column = layout.column()
        column.use_property_split = True
        column.row().prop(scene.nvd.settings, "find", expand=True)
        finder = FINDERS.get(scene.nvd.settings.find, Moving)  # none if the chosen row is there no more
        said = _WITHOUT.get(finder.name, f"With no object in the list: {finder.about}.")
        paragraph(column, said, icon="INFO")


def _draw_mask(
    layout: bpy.types.UILayout,
    item: NVD_PG_mask,
    said: str,
    editor: bpy.types.SequenceEditor | None,
    chosen: Selected | None,
    *,
    are_strips: bool,
) -> None:
    column = layout.column()
    column.use_property_split = True
    column.prop(item, "source")
    fields = column.column()
    fields.alert = bool(said)
    if item.source == "FILE":
        row = fields.row(align=True)
        row.prop(item, "picture" if is_carried(item) else "path")
        row.operator("nvd.browse_mask", text="", icon="FILEBROWSER")
    elif item.source == "MASK":
        fields.prop(item, "mask")
        if item.mask:
            fields.prop_search(item, "layer", item.mask, "layers")
            if are_strips:
                fields.prop(item, "clock")
            if not is_carried(item):
                fields.prop(item, "still")
    elif item.source == "STRIP" and editor:
        compat.search_strip(fields, item, "strip", editor)
    if said:
        paragraph(column, said, icon="ERROR", alert=True)
    if not row_of(item):
        _draw_frames(column, item, chosen)
    column.prop(item, "locked")


def _draw_frames(layout: bpy.types.UILayout, item: NVD_PG_mask, chosen: Selected | None) -> None:
    """Draw a mask's key frames, also as timeline frames, or the button that sets the first."""
    row = layout.row(align=True)
    if not is_carried(item):
        row.operator("nvd.carry_mask", text="Carry From This Frame", icon="KEYFRAME").action = "ADD"
        return
    row.prop(item, "keys")
    row.operator("nvd.carry_mask", text="", icon="KEYFRAME").action = "ADD"
    row.operator("nvd.carry_mask", text="", icon="X").action = "CLEAR"
    if chosen and (frames := in_timeline(item, chosen)):
        layout.label(text=f"In the timeline: {frames}")


register, unregister = bpy.utils.register_classes_factory((NVD_UL_objects,))
