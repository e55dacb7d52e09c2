"""Undo steps for what no operator has done."""

from __future__ import annotations

from typing import Final

import bpy

_PATIENCE_S: Final = 0.5

_AT_WORK: Final = ("PAINT_OT_", "SCULPT_OT_", "TRANSFORM_OT_", "SEQUENCER_OT_", "MASK_OT_")

_named: list[str] = []
"""What is to become a step."""


def keep(name: str) -> None:
    """Make a step of what a timer has built.

    Without it, undoing what the user did last would take that away for good.

    Args:
        name: of the step, in the Undo History.
    """
    if not bpy.app.background:  # where nothing is undone
        _named.append(name)
        if not bpy.app.timers.is_registered(_push):
            bpy.app.timers.register(_push, persistent=True)


def stop() -> None:
    """Leave no timer behind."""
    _named.clear()
    if bpy.app.timers.is_registered(_push):
        bpy.app.timers.unregister(_push)


def is_user_at_work() -> bool:
    """Whether a stroke, a drag or a render is going on, which nothing must come into.

    Not any modal operator: those of some add-ons run for as long as Blender does.
    """
    windows = () if bpy.app.background else bpy.context.window_manager.windows
    at_work = (one.bl_idname.startswith(_AT_WORK) for window in windows for one in window.modal_operators)
    return any(at_work) or bpy.app.is_job_running("RENDER")


def _push() -> float | None:
    if is_user_at_work():
        return _PATIENCE_S  # a brush stroke makes a step of its own
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        bpy.ops.ed.undo_push(message=_named[-1])
    _named.clear()
    return None
