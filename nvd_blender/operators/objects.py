"""Operators on objects: add, remove, move, and set the key frames of their masks."""

from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import InputError
from nvd_core.spec.patterns import has_number

from ..source import footage
from ..source.footage import chosen
from ..source.key_frames import is_carried, keys_of, set_keys
from ..source.objects import active_of, asked

_STEP = {"UP": -1, "DOWN": 1}


class OnObjects:
    """Base of operators on the objects of the chosen strip or movie clip."""

    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only if a strip or movie clip is chosen."""
        try:
            chosen(context)
        except InputError as error:
            cls.poll_message_set(str(error))
            return False
        return True


class NVD_OT_edit_objects(OnObjects, bpy.types.Operator):
    """Add an object, or remove or move the chosen one. The first is in front"""

    bl_idname = "nvd.edit_objects"
    bl_label = "Edit Objects"

    action: bpy.props.EnumProperty(items=[(name, name.capitalize(), "") for name in ("ADD", "REMOVE", *_STEP)])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        group = asked(*chosen(context))
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


class NVD_OT_carry_mask(OnObjects, bpy.types.Operator):
    """The mask fits at the playhead's frame, and is carried from there to all others"""

    bl_idname = "nvd.carry_mask"
    bl_label = "Carry Mask From Frame"

    action: bpy.props.EnumProperty(items=[(name, name.capitalize(), "") for name in ("ADD", "CLEAR")])

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """Tooltip of the action."""
        return cls.__doc__ if properties.action == "ADD" else "There is a mask for every frame again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the frame at the playhead to the key frames, or clear them; a picture has one key frame only."""
        owner, scene = chosen(context)
        item = active_of(asked(owner, scene))
        if item is None:
            return {"CANCELLED"}
        if self.action == "CLEAR":
            set_keys(item, ())
            return {"FINISHED"}
        try:
            shown = footage.of(owner, scene)
            others = keys_of(item, shown) if is_carried(item) and item.source != "FILE" else []
            set_keys(item, [*others, _frame_shown(shown, scene.frame_current)])
            if Path(item.path).suffix.lower() in bpy.path.extensions_image and not has_number(item.path):
                item.picture = item.picture or item.path
        except InputError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def _frame_shown(shown: footage.Selected, playhead: int) -> int:
    """Plate number of the frame at the playhead.

    Raises:
        InputError: the playhead is outside the footage.
    """
    used, number = shown.footage, playhead + shown.ahead
    if not used.first <= number <= used.last:
        raise InputError(
            f"{shown.name} is not shown at frame {playhead}",
            hint=f"Go to one of the frames {used.first - shown.ahead} to {used.last - shown.ahead}.",
        )
    return number


register, unregister = bpy.utils.register_classes_factory((NVD_OT_edit_objects, NVD_OT_carry_mask))
