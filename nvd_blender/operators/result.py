"""Add Result to Sequencer: the re-composited shot above the strip it comes from."""

from contextlib import suppress
from typing import Any, NamedTuple

import bpy

from nvd_core.errors import InputError, NvdError

from .. import compat, footage
from ..results import plate_of, results


class Place(NamedTuple):
    """A strip that a result belongs above, and the scene it is edited in."""

    scene: bpy.types.Scene
    strip: Any


def result_of(found: footage.Footage) -> bpy.types.Scene:
    """The newest scene that shows a decomposition of this footage.

    Raises:
        InputError: there is none.
    """
    for scene in results():
        if _shows(scene, found):
            return scene
    raise InputError("This strip has no result", where=found.clip, hint="Decompose it first.")


def place_of(result: bpy.types.Scene) -> Place:
    """The strip that a result was made from.

    Raises:
        InputError: no scene has it any more.
    """
    for scene in bpy.data.scenes:
        for strip in compat.strips(scene.sequence_editor) if scene.sequence_editor else ():
            with suppress(InputError):
                if _shows(result, footage.from_strip(strip, scene)):
                    return Place(scene, strip)
    raise InputError("No strip shows the footage of this result", where=result.name, hint="Add its clip first.")


def _shows(result: bpy.types.Scene, found: footage.Footage) -> bool:
    frames = (result.frame_start, result.frame_end)
    return plate_of(result) == found.first_file.resolve() and frames == (found.first, found.last)


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
    """Put the re-composited shot above the strip it was made from"""

    bl_idname = "nvd.add_result"
    bl_label = "Add Result to Sequencer"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (as Blender wants it)

    result: bpy.props.StringProperty(name="Result", description="Name of its scene; that of the active strip if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the strip."""
        try:
            if result := bpy.data.scenes.get(self.result):
                place = place_of(result)
            else:
                scene = compat.sequencer_scene(context)
                place = Place(scene, scene.sequence_editor.active_strip if scene.sequence_editor else None)
                result = result_of(footage.from_strip(place.strip, scene))
            add_above(place.scene.sequence_editor, place.strip, result)
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"The shot lies above {place.strip.name} in {place.scene.name}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_add_result,))
