"""Add Result to Sequencer: the re-composited shot above the strip it comes from."""

import bpy

from nvd_core.errors import NvdError

from .. import compat, edit


class NVD_OT_add_result(bpy.types.Operator):
    """Put the re-composited shot above the strip it was made from"""

    bl_idname = "nvd.add_result"
    bl_label = "Add Result to Sequencer"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (as Blender wants it)

    result: bpy.props.StringProperty(
        name="Result", description="Name of its scene; that of the active strip if empty", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the strip."""
        scene = compat.sequencer_scene(context)
        active = scene.sequence_editor.active_strip if scene.sequence_editor else None
        try:
            place = edit.place_of(edit.named(self.result)) if self.result else edit.place_above(active, scene)
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        edit.add_above(
            place,
            lambda strips, channel, start: strips.new_scene(
                name=place.result.name, scene=place.result, channel=channel, frame_start=start
            ),
        )
        self.report({"INFO"}, f"The shot lies above {place.strip.name} in {place.scene.name}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_add_result,))
