"""Add Result to Sequencer: the re-composited shot above the strip it comes from."""

from typing import Any

import bpy

from nvd_core.errors import InputError, NvdError

from .. import compat, footage
from ..results import plate_of, results


def result_of(found: footage.Footage) -> bpy.types.Scene:
    """The newest scene that shows a decomposition of this footage.

    Raises:
        InputError: there is none.
    """
    for scene in results():
        if plate_of(scene) == found.first_file.resolve() and (scene.frame_start, scene.frame_end) == (found.first, found.last):
            return scene
    raise InputError("This strip has no result", where=found.clip, hint="Decompose it first.")


def add_above(editor: bpy.types.SequenceEditor, strip: Any, scene: bpy.types.Scene) -> Any:  # noqa: ANN401
    """Put a scene strip over a strip: same place in time and picture, in the first free channel above it."""
    skipped, _, left = compat.strip_span(strip)
    start, count = left + max(0, compat.source_range(strip).start - skipped), scene.frame_end - scene.frame_start + 1
    others = compat.strips(editor)
    spans = [(other.channel, *compat.strip_span(other)[1:]) for other in others]
    channel = strip.channel + 1
    while any(at == channel and begin < start + count and start < begin + length for at, length, begin in spans):
        channel += 1
    added = others.new_scene(name=scene.name, scene=scene, channel=channel, frame_start=start)
    for owner, copy in ((strip.transform, added.transform), (strip.crop, added.crop)):
        for one in owner.bl_rna.properties:
            if not one.is_readonly:
                setattr(copy, one.identifier, getattr(owner, one.identifier))
    added.use_flip_x, added.use_flip_y = strip.use_flip_x, strip.use_flip_y
    return added


class NVD_OT_add_result(bpy.types.Operator):
    """Put the re-composited shot above the active strip"""

    bl_idname = "nvd.add_result"
    bl_label = "Add Result to Sequencer"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (as Blender wants it)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the strip."""
        scene = compat.sequencer_scene(context)
        editor = scene.sequence_editor
        strip = editor.active_strip if editor else None
        try:
            add_above(editor, strip, result_of(footage.from_strip(strip, scene)))
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_add_result,))
