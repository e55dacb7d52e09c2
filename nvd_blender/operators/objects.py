"""Add, remove and move objects, and say which frames their masks are of."""

from typing import ClassVar

import bpy

from nvd_core.errors import InputError

from .. import compat
from ..objects import frames_of, is_carried

_STEP = {"UP": -1, "DOWN": 1}


def _objects(context: bpy.types.Context) -> bpy.types.PropertyGroup:
    """What the panel shows in which a button was pressed."""
    in_clip_editor = context.area is not None and context.area.type == "CLIP_EDITOR"
    return (context.scene if in_clip_editor else compat.sequencer_scene(context)).nvd


class NVD_OT_edit_objects(bpy.types.Operator):
    """Add an object, or remove or move the chosen one. The first is in front"""

    bl_idname = "nvd.edit_objects"
    bl_label = "Edit Objects"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    action: bpy.props.EnumProperty(items=[(name, name.capitalize(), "") for name in ("ADD", "REMOVE", *_STEP)])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        group = _objects(context)
        masks, at = group.masks, group.active_mask
        if self.action == "ADD":
            taken, number = {mask.name for mask in masks}, 1
            while f"object{number}" in taken:
                number += 1
            masks.add().name = f"object{number}"
            at = len(masks) - 1
        elif not 0 <= at < len(masks):
            return {"CANCELLED"}
        elif self.action == "REMOVE":
            masks.remove(at)
            at = max(0, min(at, len(masks) - 1))
        else:
            to = min(max(0, at + _STEP[self.action]), len(masks) - 1)
            masks.move(at, to)
            at = to
        group.active_mask = at
        return {"FINISHED"}


class NVD_OT_carry_mask(bpy.types.Operator):
    """The mask fits at the playhead's frame, and is carried from there to all others"""

    bl_idname = "nvd.carry_mask"
    bl_label = "Carry Mask From Frame"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    action: bpy.props.EnumProperty(items=[(name, name.capitalize(), "") for name in ("ADD", "CLEAR")])

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """What it does, by its action."""
        return cls.__doc__ if properties.action == "ADD" else "There is a mask for every frame again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Note the frame; a picture is of one alone."""
        group = _objects(context)
        if not 0 <= group.active_mask < len(group.masks):
            return {"CANCELLED"}
        item = group.masks[group.active_mask]
        if self.action == "CLEAR":
            item.frames = ""
            return {"FINISHED"}
        try:
            others = frames_of(item) if is_carried(item) and item.source != "FILE" else []
        except InputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        item.frames = ", ".join(map(str, sorted({*others, group.id_data.frame_current})))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_edit_objects, NVD_OT_carry_mask))
