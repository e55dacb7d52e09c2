"""Start and end timers; keep them, handlers and draw callbacks alive after errors, at which Blender drops a timer."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import bpy

from nvd_core.spec.errors import shown

Given = ParamSpec("Given")
Result = TypeVar("Result")


def lasting(otherwise: Result) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Decorate a timer, handler or draw callback: print its exceptions to the terminal, each of them once.

    Args:
        otherwise: return value after an exception; for a timer, the seconds until its next call.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        told = set()

        @wraps(function)
        def called(*given: Given.args, **named: Given.kwargs) -> Result:
            try:
                return function(*given, **named)
            except Exception:  # noqa: BLE001 (a stranger's .blend may make anything raise)
                said = shown(traceback.format_exc())
                if said not in told:
                    told.add(said)
                    sys.stderr.write(f"NVD: {said}")
                return otherwise

        return called

    return decorate


def begin(timer: Callable[[], float | None], first_s: float = 0.0) -> None:
    """Start a timer that outlasts the open .blend, unless it is running. Without a window Blender runs none.

    Args:
        timer: returns the seconds until its next call; None to end.
        first_s: seconds until its first call.
    """
    if not bpy.app.background and not bpy.app.timers.is_registered(timer):
        bpy.app.timers.register(timer, first_interval=first_s, persistent=True)


def end(*timers: Callable[[], float | None]) -> None:
    """End timers, where they are running."""
    for timer in filter(bpy.app.timers.is_registered, timers):
        bpy.app.timers.unregister(timer)
