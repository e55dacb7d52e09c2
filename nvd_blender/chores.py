"""Programs that the preferences run: install, remove, check. One at a time, and Blender goes on meanwhile.

As with jobs, a thread only puts lines aside; what they mean is worked out in :meth:`Chore.poll`.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import bpy

from nvd_core.errors import SetupError

from . import platforms
from .labels import redraw
from .pip_output import Progress, follow
from .private_engine import Step

_POLL_S: Final = 0.1
_LINES_A_POLL: Final = 200
_LINES_KEPT: Final = 5000
"""A program that never stops talking neither keeps Blender waiting nor fills its memory."""

_GRACE_S: Final = 10.0
"""How long stopped programs are waited for when the extension is disabled."""


@dataclass
class Chore:
    """Some programs, one after the other.

    Attributes:
        name: what it is, in words.
        steps: the programs.
        log: everything they say.
        success: what to tell when all is done, if that is not seen anyway.
        on_done: called then, from the main thread.
        expected_mb: what will be downloaded.
        state: running until the last program has ended.
        stage: what is being done.
        progress: how far pip is.
        error: why it failed.
    """

    name: str
    steps: Sequence[Step]
    log: Path
    success: str = ""
    on_done: Callable[[], object] = lambda: None
    expected_mb: float = 1.0
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    stage: str = ""
    progress: Progress = field(default_factory=Progress)
    error: str = ""
    _next: int = 0
    _said: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    _lines: queue.Queue[str | None] = field(default_factory=lambda: queue.Queue(_LINES_A_POLL))
    _process: subprocess.Popen[str] | None = None
    _cancelled: bool = False

    def start(self) -> None:
        """Start the first program."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self._start_next()

    def poll(self) -> None:
        """Take in what was said since the last time."""
        for _ in range(_LINES_A_POLL):
            if self.state != "running" or self._lines.empty():
                return
            line = self._lines.get_nowait()
            if line is not None:
                self._said.append(line)
                self.progress = follow(line.rstrip(), self.progress)
            elif self._process.poll() is None:  # it has closed its output, but not ended yet
                self._lines.put(None)
                return
            else:
                self._ended()

    def wait(self, seconds: float) -> None:
        """Give the programs this long."""
        time.sleep(seconds)
        self.poll()

    def cancel(self) -> None:
        """End the program that runs, and those it has started."""
        self._cancelled = True
        platforms.end_group(self._process)

    def _start_next(self) -> None:
        step = self.steps[self._next]
        self._next, self.stage = self._next + 1, step.stage
        self._said.clear()
        try:
            self._process = subprocess.Popen(
                list(map(str, step.command)),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=step.environment,
                cwd=self.log.parent,  # what lies where Blender was started is not imported
                encoding="utf-8", errors="replace", **platforms.own_group(),
            )  # fmt: skip
        except OSError as error:
            self.state, self.error = "failed", f"{step.command[0]} cannot be started: {error.strerror}."
            return
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stdout:
            for line in process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _ended(self) -> None:
        code, step = self._process.returncode, self.steps[self._next - 1]
        self._keep_what_was_said()
        if self._cancelled:
            self.state, self.error = "cancelled", f"{self.name} was cancelled."
        elif fault := step.fault(code, self._said):
            self.state, self.error = "failed", f"{step.stage} failed: {fault}"
        elif self._next < len(self.steps):
            self._start_next()
        else:
            self._finish()

    def _keep_what_was_said(self) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf-8") as log:  # a full disk is told by the program
            log.writelines(self._said)

    def _finish(self) -> None:
        try:
            self.on_done()
        except OSError as error:
            self.state, self.error = "failed", f"{self.name} failed: {error}"
        else:
            self.state = "done"


_latest: list[Chore] = []


def start(chore: Chore) -> None:
    """Start a chore.

    Raises:
        SetupError: another one runs.
    """
    if running():
        raise SetupError(f"{latest().name} is not finished", hint="Wait for it or cancel it.")
    _latest[:] = [chore]
    chore.start()
    if not bpy.app.background and not bpy.app.timers.is_registered(_poll):
        bpy.app.timers.register(_poll, first_interval=_POLL_S, persistent=True)


def latest() -> Chore | None:
    """The chore that was started last."""
    return _latest[0] if _latest else None


def running() -> bool:
    """Whether one is at work."""
    return any(chore.state == "running" for chore in _latest)


def stop() -> None:
    """Cancel what runs, and leave no timer and no process behind."""
    if bpy.app.timers.is_registered(_poll):
        bpy.app.timers.unregister(_poll)
    end = time.monotonic() + _GRACE_S
    for chore in _latest:
        if chore.state == "running":
            chore.cancel()
        while chore.state == "running" and time.monotonic() < end:
            chore.wait(_POLL_S)
    _latest.clear()


def _poll() -> float | None:
    for chore in _latest:
        chore.poll()
    redraw("PREFERENCES")
    redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
    return _POLL_S if running() else None
