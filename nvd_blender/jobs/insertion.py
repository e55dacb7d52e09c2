"""Insert a picture or movie into a layer by ``nvd insert`` beside Blender: the engine prepares and places it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.errors import NvdError

from ..engine import location, tasks
from ..engine.private import Step, engine_command
from ..host import opened, timers
from ..result import edit_record, rendered, undo
from ..result.scenes import result_scene
from . import queue
from .clean_plate import engines_fault

_PATIENCE_S: Final = 0.5

_finished: list[Insertion] = []
"""Insertions whose nodes are not built yet."""


@dataclass
class Insertion(tasks.Task):
    """Insertion of a picture.

    Attributes:
        folder: of the decomposition.
        layer: that gets it.
        known: names of the inserts before.
        home: the .blend in which it was started.
    """

    folder: Path = Path()
    layer: str = ""
    known: Collection[str] = ()
    home: opened.File = field(default_factory=opened.now)

    def __post_init__(self) -> None:
        """Complete the task."""
        self.on_done = self._build_when_idle

    def _build_when_idle(self) -> None:
        """Build its nodes once the user's stroke or render has ended."""
        _finished.append(self)
        timers.begin(_build)
        if bpy.app.background:
            _build()


def latest(folder: Path | None, layer: str) -> Insertion | None:
    """The insertion into a layer that was started last, unless something else has been run since."""
    task = tasks.latest()
    return task if isinstance(task, Insertion) and (task.folder, task.layer) == (folder, layer) else None


def start(scene: bpy.types.Scene, layer: str, source: Path) -> Insertion:
    """Start to insert a picture.

    Args:
        scene: of the result.
        layer: that gets it, on top of its inserts.
        source: a picture, a movie, or a pattern of pictures.

    Raises:
        NvdError: there is no engine, or it is at work; the result's files are gone, or a job replaces them; or the
            inserts' nodes do not agree with the record.
    """
    folder, python = rendered.folder_with_files(scene), location.worker_python()
    tasks.refuse_second()
    queue.refuse_twice(folder)
    edit_record.agree(scene)
    name = f"Inserting {source.name}"
    step = Step(
        name, engine_command(python, "insert", folder, source, f"--layer={layer}", "--json"), fault=engines_fault
    )
    task = Insertion(
        name, [step], Path(bpy.app.tempdir) / "nvd_insert" / "log",
        folder=folder, layer=layer, known=edit_record.names(scene),
    )  # fmt: skip
    tasks.start(task)
    return task


def stop() -> None:
    """Unregister the timer."""
    timers.end(_build)
    _finished.clear()


@timers.lasting(None)
def _build() -> float | None:
    """Build the nodes of what is inserted. In another .blend there is nothing to do: the record has it."""
    if undo.is_user_at_work():
        return _PATIENCE_S
    while _finished:
        task = _finished.pop()
        scene = result_scene(task.folder) if task.home is opened.now() else None
        if scene is None:
            continue
        try:
            edit_record.take_in(scene, task.known)
            undo.keep("Insert Picture")
        except NvdError as error:
            task.state, task.error = "failed", str(error)
    return None
