"""Read the frames of a loaded result by the engine, beside Blender, which has no numpy to look for NaN and Inf with."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.errors import InputError, NvdError

from ..engine import location
from ..engine.private import Step, engine_command, said_by_engine
from ..engine.tasks import Task
from ..host import timers
from ..host.labels import redraw
from ..source.wording import in_blender

_POLL_S: Final = 0.5
_GRACE_S: Final = 2.0

_tasks: dict[Path, Task] = {}
_faults: dict[Path, str] = {}


def begin(folder: Path) -> None:
    """Start reading the frames of a result's folder. Without a window or an engine they are not read."""
    forget(folder)
    if bpy.app.background:
        return
    try:
        command = engine_command(location.worker_python(), "verify", folder)
        step = Step("Reading the frames", command, fault=partial(_noted, folder))
        task = Task("Reading the frames", [step], Path(bpy.app.tempdir) / "nvd_frames" / "log")
        task.start()
    except (NvdError, OSError):
        return
    _tasks[folder] = task
    timers.begin(_go_on, _POLL_S)


def fault(folder: Path | None) -> str:
    """What is wrong with the frames of a folder; empty if nothing is, or they are not read yet."""
    return _faults.get(folder, "")


def forget(folder: Path) -> None:
    """Forget what is wrong with the frames of a folder, as they are others now, and end what still reads the former."""
    if task := _tasks.pop(folder, None):
        task.end(_GRACE_S)
    _faults.pop(folder, None)


def stop() -> None:
    """Unregister the timer and end what is read."""
    timers.end(_go_on)
    while _tasks:
        _tasks.popitem()[1].end(_GRACE_S)


@timers.lasting(_POLL_S)
def _go_on() -> float | None:
    for folder, task in list(_tasks.items()):
        task.poll()
        if task.state != "running":
            del _tasks[folder]
            redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", "IMAGE_EDITOR", region="UI")
    return _POLL_S if _tasks else None


def _noted(folder: Path, code: int, lines: Collection[str]) -> str:
    """Store what the engine says of the folder; return no fault, as the task itself succeeded."""
    said = said_by_engine(lines)
    if code == InputError.exit_code and said:
        _faults[folder] = in_blender(said[-1])
    return ""
