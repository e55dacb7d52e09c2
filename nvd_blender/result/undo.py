"""Push undo steps for changes by timers, and keep each window's scene when the user undoes something."""

from __future__ import annotations

from typing import Final

import bpy

from ..host import timers
from .scenes import BUILT_KEY

_PATIENCE_S: Final = 0.5

_AT_WORK: Final = ("PAINT_OT_", "SCULPT_OT_", "TRANSFORM_OT_", "SEQUENCER_OT_", "MASK_OT_", "NVD_OT_pin_")

_named: list[str] = []
"""Names of undo steps to push."""

_shown: dict[int, tuple[str, bool]] = {}
"""By window, the scene that it showed before an undo, and whether that is a result's."""


def keep(name: str) -> None:
    """Schedule an undo step for data that a timer has built.

    Without it, undoing the user's last action would remove that data for good.

    Args:
        name: of the step, in the Undo History.
    """
    if not bpy.app.background:  # without a window there is no undo
        _named.append(name)
        timers.begin(_push)


def register() -> None:
    """See :mod:`nvd_blender`."""
    handlers = bpy.app.handlers
    for before in (handlers.undo_pre, handlers.redo_pre):
        before.append(_note)
    for after in (handlers.undo_post, handlers.redo_post):
        after.append(_later)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    handlers = bpy.app.handlers
    for each in (handlers.undo_pre, handlers.redo_pre, handlers.undo_post, handlers.redo_post):
        each[:] = [one for one in each if one not in {_note, _later}]
    _shown.clear()
    timers.end(_push, _give_back)
    _named.clear()


@bpy.app.handlers.persistent
def _note(*_: object) -> None:
    windows = bpy.context.window_manager.windows
    _shown.update({one.as_pointer(): (one.scene.name, BUILT_KEY in one.scene) for one in windows})


@bpy.app.handlers.persistent
def _later(*_: object) -> None:
    if not bpy.app.timers.is_registered(_give_back):
        bpy.app.timers.register(_give_back, first_interval=0.0)  # not while Blender is undoing


@timers.lasting(None)
def _give_back() -> None:
    """Restore each window's scene after an undo.

    A step stores the scene that was shown when it was made: undoing a stroke from the edit's window would switch that
    window to the result's scene. Switches between the user's own scenes are left to Blender.
    """
    for window in bpy.context.window_manager.windows:
        name, was_result = _shown.get(window.as_pointer(), ("", False))
        scene = bpy.data.scenes.get(name)
        if scene and scene != window.scene and (was_result or BUILT_KEY in window.scene):
            window.scene = scene
    _shown.clear()


def is_user_at_work() -> bool:
    """Whether a stroke, a drag or a render is going on, which must not be interrupted.

    Other modal operators do not count: those of some add-ons run as long as Blender.
    """
    windows = () if bpy.app.background else bpy.context.window_manager.windows
    at_work = (one.bl_idname.startswith(_AT_WORK) for window in windows for one in window.modal_operators)
    return any(at_work) or bpy.app.is_job_running("RENDER")


@timers.lasting(None)
def _push() -> float | None:
    if is_user_at_work():
        return _PATIENCE_S  # a brush stroke makes a step of its own
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message=_named[-1])
    _named.clear()
    return None
