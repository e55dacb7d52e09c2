"""Pin an insert: drag its corners, or all of it, on the atlas."""

from typing import Any, ClassVar, Final

import bpy

from nvd_core.spec.errors import InputError, NvdError

from ..host import timers
from ..host.labels import redraw
from ..host.nodes import Node
from ..result import edit_record, inserts, pinning
from ..result.pinning import Point
from .atlas import Found, find_layer

_VIEWING: Final = {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM", "HOME"}
"""Events that change the view, which stay Blender's."""


class NVD_OT_pin_insert(bpy.types.Operator):
    """Drag the insert's corners, or all of it, on the atlas. Enter ends it; Esc puts back what is being dragged"""

    bl_idname = "nvd.pin_insert"
    bl_label = "Pin Insert"
    bl_options: ClassVar = {"INTERNAL"}

    result: bpy.props.StringProperty(name="Result", description="Name of its scene", options={"SKIP_SAVE"})
    layer: bpy.props.StringProperty(name="Layer", description="Which", options={"SKIP_SAVE"})
    insert: bpy.props.StringProperty(name="Insert", description="Its name", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show the handles."""
        try:
            found = find_layer(context, self.result, self.layer)
            self._area, self._region = _atlas_editor(context, found)
            self._node()
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._handle: int | None = None
        self._from: Point = (0.0, 0.0)
        self._before: list[Point] = []
        self._drawn: Any = bpy.types.SpaceImageEditor.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")
        context.window_manager.modal_handler_add(self)
        context.workspace.status_text_set("Drag a corner, or the insert. Enter or right click: done. Esc: put back")
        redraw("IMAGE_EDITOR")
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Follow the mouse."""
        try:
            return self._follow(context, event)
        except (NvdError, ReferenceError) as error:  # the insert or its editor is gone
            self._end(context)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Called by Blender when it ends the operator itself."""
        self._end(context)

    def _follow(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        point_px = event.mouse_x - self._region.x, event.mouse_y - self._region.y
        if event.type in {"ESC", "RIGHTMOUSE", "RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            if self._handle is not None and event.type in {"ESC", "RIGHTMOUSE"}:
                pinning.set_corners(self._node(), self._before)
                self._handle = None
                redraw("IMAGE_EDITOR")
                return {"RUNNING_MODAL"}
            self._accept()
            self._end(context)
            return {"FINISHED"}
        if self._handle is not None:
            if event.type == "MOUSEMOVE":
                self._drag(point_px)
            elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
                self._drag(point_px)
                self._accept()
            return {"RUNNING_MODAL"}
        if not (0 <= point_px[0] < self._region.width and 0 <= point_px[1] < self._region.height):
            return {"PASS_THROUGH"}  # so that the playhead can be moved
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            self._before = pinning.corners_of(self._node())
            self._handle = pinning.handle_at(pinning.on_region(self._region, self._before), point_px)
            self._from = self._region.view2d.region_to_view(*point_px)
        return {"PASS_THROUGH"} if event.type in _VIEWING else {"RUNNING_MODAL"}

    def _node(self) -> Node:
        """Node of the insert, found anew each time, as undoing something replaces nodes.

        Raises:
            InputError: it is gone.
        """
        scene = bpy.data.scenes.get(self.result)
        for node in inserts.insert_nodes(scene, self.layer) if scene else ():
            if inserts.name_of(node) == self.insert:
                return node
        raise InputError(f"There is no insert {self.insert!r} on {self.layer}", hint="It was removed or renamed.")

    def _drag(self, point_px: Point) -> None:
        u, v = self._region.view2d.region_to_view(*point_px)
        by = u - self._from[0], v - self._from[1]
        pinning.set_corners(self._node(), pinning.dragged(self._before, self._handle, by))
        redraw("IMAGE_EDITOR")

    def _accept(self) -> None:
        """Keep what was dragged: set key frames where there are some, write the record, and make an undo step."""
        if self._handle is None:
            return
        self._handle, scene, node = None, bpy.data.scenes[self.result], self._node()
        if pinning.corners_of(node) == self._before:
            return
        if pinning.has_keys(node) or scene.tool_settings.use_keyframe_insert_auto:
            pinning.key(node, scene.frame_current)
        edit_record.agree_or_tell(scene)
        bpy.ops.ed.undo_push(message=self.bl_label)
        redraw("IMAGE_EDITOR")

    def _end(self, context: bpy.types.Context) -> None:
        """Take the handles away."""
        if self._drawn:
            bpy.types.SpaceImageEditor.draw_handler_remove(self._drawn, "WINDOW")
            self._drawn = None
        context.workspace.status_text_set(None)
        redraw("IMAGE_EDITOR")

    @timers.lasting(None)
    def _draw(self) -> None:
        if bpy.context.area == self._area:
            pinning.draw(pinning.on_region(self._region, pinning.corners_of(self._node())))


def _atlas_editor(context: bpy.types.Context, found: Found) -> tuple[bpy.types.Area, bpy.types.Region]:
    """Image editor that shows a layer's atlas, and its region.

    Raises:
        InputError: none does.
    """
    for area in context.screen.areas if context.screen else ():
        if area.type == "IMAGE_EDITOR" and area.spaces.active.image == found.atlas:
            return area, next(region for region in area.regions if region.type == "WINDOW")
    raise InputError(f"No Image editor shows the atlas of {found.layer}", hint=f"Click {found.layer} in the list.")


register, unregister = bpy.utils.register_classes_factory((NVD_OT_pin_insert,))
