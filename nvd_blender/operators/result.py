"""Add Result to Sequencer: the re-composited shot above the strip it comes from."""

import bpy

from nvd_core.spec.errors import NvdError, shown

from ..result import conform
from ..source import look


class NVD_OT_add_result(bpy.types.Operator):
    """Put the re-composited shot above the strip it was made from"""

    bl_idname = "nvd.add_result"
    bl_label = "Add Result to Sequencer"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (as Blender wants it)

    result: bpy.props.StringProperty(
        name="Result",
        description="Name of its scene; the newest of the strip that is meant if empty",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let the user choose where the strip has several."""
        try:
            places = [] if self.result else conform.places_meant(context)
        except NvdError:
            places = []  # execute reports it
        if len(places) < 2:
            return self.execute(context)

        def draw(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
            for place in places:
                menu.layout.operator(self.bl_idname, text=place.result.name).result = place.result.name

        context.window_manager.popup_menu(draw, title="The Newest First", icon="SEQ_STRIP_DUPLICATE")
        return {"CANCELLED"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the strip."""
        try:
            place = (
                conform.place_meant(context, conform.named(self.result))
                if self.result
                else conform.places_meant(context)[0]
            )
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        is_hidden = not look.hides_what_is_below(place.strip)
        conform.add_above(
            place,
            lambda strips, channel, start: strips.new_scene(
                name=place.result.name, scene=place.result, channel=channel, frame_start=start
            ),
        )
        self.report({"INFO"}, shown(f"The shot lies above {place.strip.name} in {place.scene.name}"))
        if is_hidden:
            self.report({"INFO"}, shown(f"{place.strip.name} is muted, as it would be seen through the shot"))
        if effects := conform.effects_on(place):
            told = f"These effects still take {place.strip.name}: {', '.join(effects)}. Set their input anew."
            self.report({"WARNING"}, shown(told))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_add_result,))
