"""Add, remove and move objects."""

from typing import ClassVar

import bpy

from .. import compat

_STEP = {"UP": -1, "DOWN": 1}


class NVD_OT_edit_objects(bpy.types.Operator):
    """Add an object, or remove or move the chosen one. The first is in front"""

    bl_idname = "nvd.edit_objects"
    bl_label = "Edit Objects"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    action: bpy.props.EnumProperty(items=[(name, name.capitalize(), "") for name in ("ADD", "REMOVE", *_STEP)])

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Change the list."""
        in_clip_editor = context.area is not None and context.area.type == "CLIP_EDITOR"
        group = (context.scene if in_clip_editor else compat.sequencer_scene(context)).nvd
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


register, unregister = bpy.utils.register_classes_factory((NVD_OT_edit_objects,))
