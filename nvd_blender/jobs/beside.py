"""Run a command of the engine on a result beside Blender, and show its outcome once the user is idle.

Data must not change under a stroke or a render, nor in another .blend than the one that the command was started in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import bpy

from nvd_core.spec import protocol
from nvd_core.spec.errors import shown

from ..engine import location, tasks
from ..engine.pip_output import failing_line
from ..engine.private import Step, engine_command, said_by_engine
from ..host import opened, timers
from ..result import rendered, undo
from ..result.scenes import result_scene
from ..source.wording import in_blender
from . import queue

_PATIENCE_S: Final = 0.5

_finished: list[ResultTask] = []
"""Tasks whose outcome Blender does not show yet."""


@dataclass
class ResultTask(tasks.Task, ABC):
    """Command on a result.

    Attributes:
        folder: of the decomposition.
        home: the .blend in which it was started.
    """

    folder: Path = Path()
    home: opened.File = field(default_factory=opened.now)

    def __post_init__(self) -> None:
        """Complete the task."""
        self.on_done = self._show_when_idle

    def outcome(self) -> str:
        """What the command has done, in words, as soon as it has ended."""
        return ""

    @abstractmethod
    def show(self, scene: bpy.types.Scene | None) -> None:
        """Show what the command has done.

        Args:
            scene: of the result; None if there is none in this .blend, or it is another one by now.
        """

    def _show_when_idle(self) -> None:
        self.success = self.outcome()
        _finished.append(self)
        timers.begin(_show)
        if bpy.app.background:
            _show()


Kind = TypeVar("Kind", bound=ResultTask)


def latest(kind: type[Kind], folder: Path | None) -> Kind | None:
    """The task of a kind on a decomposition that was started last, unless something else has been run since."""
    task = tasks.latest()
    return task if isinstance(task, kind) and task.folder == folder else None


def ready(scene: bpy.types.Scene) -> Path:
    """Decomposition folder of a result that a command may be run on now.

    Raises:
        NvdError: there is no engine, or it is at work; or the result's files are gone, or a job replaces them.
    """
    folder = rendered.folder_with_files(scene)
    location.worker_python()
    tasks.refuse_second()
    queue.refuse_twice(folder)
    return folder


def step(name: str, *arguments: str | Path, heeds_input: bool = False) -> Step:
    """Command of the engine, whose faults are told in its own words.

    Args:
        name: of the step.
        arguments: of ``nvd``.
        heeds_input: see :class:`nvd_blender.engine.private.Step`.

    Raises:
        SetupError: there is no engine.
    """
    command = engine_command(location.worker_python(), *arguments)
    return Step(name, command, fault=_fault, heeds_input=heeds_input)


def log_of(what: str) -> Path:
    """Path of the log of a kind of commands."""
    return Path(bpy.app.tempdir) / f"nvd_{what}" / "log"


def stop() -> None:
    """Unregister the timer."""
    timers.end(_show)
    _finished.clear()


@timers.lasting(None)
def _show() -> float | None:
    if undo.is_user_at_work():
        return _PATIENCE_S
    while _finished:
        task = _finished.pop()
        task.show(result_scene(task.folder) if task.home is opened.now() else None)
    return None


def _fault(code: int, lines: Collection[str]) -> str:
    """What the engine says of its failure; empty on success."""
    talk = [line for line in lines if protocol.decode(line) is None]
    said = said_by_engine(lines)
    return "" if code == 0 else in_blender(shown(said[-1] if said else failing_line(talk)))
