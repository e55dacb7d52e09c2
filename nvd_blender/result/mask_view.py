"""Correct masks: paint on the mask of the current frame, drawn in red over the shot.

There is no mode to store: a mask is being corrected if it is the paint canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import bpy

from nvd_core.spec.errors import InputError

from ..host import compat, timers
from ..host.overlays import cover
from . import generated_masks, undo, workspace
from .scenes import path_of, results

_LOOK_S: Final = 0.5
_FOLLOW_S: Final = 0.1
_PATIENCE: Final = 10

_FRAGMENT: Final = """
void main() {
    vec3 seen = max(texture(shot, uv).rgb, vec3(0.0));
    color = vec4(mix(seen, vec3(1.0, 0.0, 0.0), 0.5 * texture(mask, uv).r), 1.0);
}
"""
"""Mixes in linear light, as both the shot's texture and the framebuffer are linear."""

OBJECT: Final = (1.0, 1.0, 1.0)
NOT_OBJECT: Final = (0.0, 0.0, 0.0)
"""Colours of the brush that add to the mask and remove from it."""

_before: dict[str, list[tuple[float, ...]]] = {}
"""By scene, the brush's two colours before correcting masks began."""

_handlers: list[Any] = []


def begin(window: bpy.types.Window | None, scene: bpy.types.Scene, layer: str) -> None:
    """Make a layer's mask of the current frame the paint canvas.

    Raises:
        InputError: there is no such mask.
    """
    mask = generated_masks.mask_of(scene, layer)
    brush = compat.brush(scene)
    _before.setdefault(scene.name, [tuple(brush.color), tuple(brush.secondary_color)])
    set_brush(scene, OBJECT, NOT_OBJECT)
    workspace.set_canvas(window, scene, mask)


def end(scene: bpy.types.Scene) -> None:
    """Restore the brush's former colours."""
    if colours := _before.pop(scene.name, None):
        set_brush(scene, *colours)


def set_brush(scene: bpy.types.Scene, colour: tuple[float, ...], secondary: tuple[float, ...]) -> None:
    """Set the brush's two colours, which X swaps."""
    brush = compat.brush(scene)
    brush.color, brush.secondary_color = colour, secondary


def corrected(scene: bpy.types.Scene) -> str:
    """Layer whose mask is the paint canvas; empty if none is."""
    place = _place_of(scene.tool_settings.image_paint.canvas)
    return place[1] if place and place[0] == scene else ""


def _place_of(image: bpy.types.Image | None) -> tuple[bpy.types.Scene, str, int] | None:
    """Result, layer and frame of an image that is a generated mask; None for any other image."""
    path = path_of(image)
    number = path.stem.rpartition(".")[2] if path else ""
    if not number.isdecimal():
        return None
    for scene in results():
        layer = path.parent.name
        if generated_masks.has_masks(scene, layer) and generated_masks.folder_of_masks(scene, layer) == path.parent:
            return scene, layer, int(number)
    return None


@timers.lasting(_LOOK_S)
def _follow() -> float:
    """Timer: switch Image editors that show a mask to that of the current frame; unsaved paint stays in memory."""
    step = _LOOK_S
    for window in bpy.context.window_manager.windows:
        canvas = window.scene.tool_settings.image_paint.canvas
        place = _place_of(canvas)
        if place is None or place[0] != window.scene:
            continue
        step, (scene, layer, number) = _FOLLOW_S, place
        if number == scene.frame_current or undo.is_user_at_work():
            continue
        try:
            mask = generated_masks.mask_of(scene, layer)
        except InputError:
            continue  # the playhead is outside the shot
        views = workspace.set_canvas(window, scene, mask, fits=False)
        bpy.app.timers.register(_keep(window.screen.name, views), first_interval=_FOLLOW_S)
        if not canvas.is_dirty:
            canvas.buffers_free()
    return step


def _keep(screen: str, views: dict[int, workspace.View]) -> Callable[[], float | None]:
    """Create a timer that restores views: 5.2 resets each to the image's last view, but only when it draws it."""
    tries = iter(range(_PATIENCE))

    @timers.lasting(None)
    def keep() -> float | None:
        window = next((one for one in bpy.context.window_manager.windows if one.screen.name == screen), None)
        areas = window.screen.areas if window else ()
        shown = {index: areas[index] for index in views if index < len(areas) and areas[index].type == "IMAGE_EDITOR"}
        moved = [index for index, area in shown.items() if abs(workspace.view_of(area).zoom - views[index].zoom) > 1]
        for index in moved:
            workspace.look(window, shown[index], views[index])
        return _FOLLOW_S if shown and not moved and next(tries, None) is not None else None

    return keep


@timers.lasting(None)
def _draw() -> None:
    mask = bpy.context.space_data.image
    place = _place_of(mask)
    if place is None:
        return
    scene, _, number = place
    shot = workspace.shot_of(scene)
    if shot and number == scene.frame_current:
        cover(_FRAGMENT, shot=shot, mask=mask)


def register() -> None:
    """See :mod:`nvd_blender`."""
    if not bpy.app.background:
        _handlers.append(bpy.types.SpaceImageEditor.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW"))
        timers.begin(_follow, _LOOK_S)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    timers.end(_follow)
    while _handlers:
        bpy.types.SpaceImageEditor.draw_handler_remove(_handlers.pop(), "WINDOW")
