"""Run programs in the background, one at a time: install, remove and check the engine, render a clean plate.

As with jobs, a thread only queues lines of output; :meth:`Task.poll` interprets them in the main thread.
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
from typing import Final, Literal, Protocol

from nvd_core.spec.errors import SetupError

from ..host import platforms, timers
from ..host.labels import redraw, redraw_progress
from .pip_output import Progress
from .private import Step

_POLL_S: Final = 0.1
_LINES_A_POLL: Final = 200
_LINES_KEPT: Final = 5000
"""Bounds on the lines of output per poll and in memory: a verbose program must not block Blender or fill its memory."""

_GRACE_S: Final = 10.0
"""Seconds to wait for cancelled programs when the extension is disabled."""


class Told(Protocol):
    """What the output of a program tells of its progress."""

    @property
    def doing(self) -> str:
        """Current action, in words."""
        ...

    @property
    def share(self) -> float:
        """Share that is done, 0 to 1."""
        ...

    def follow(self, line: str) -> Told:
        """Update the progress by a line of the output."""
        ...


@dataclass
class Task:
    """Sequence of programs.

    Attributes:
        name: shown to the user.
        steps: the programs, in order.
        log: file of their output.
        success: message on success, if the panel does not show the outcome by itself.
        on_done: called on success, from the main thread.
        on_stopped: called after failure or cancellation, from the main thread.
        state: running until the last program has ended.
        stage: current step, in words.
        progress: of the current step.
        error: message on failure.
    """

    name: str
    steps: Sequence[Step]
    log: Path
    success: str = ""
    on_done: Callable[[], object] = lambda: None
    on_stopped: Callable[[], object] = lambda: None
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    stage: str = ""
    progress: Told = field(default_factory=Progress)
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
        """Process the output since the last poll, and start the next program when one has ended."""
        for _ in range(_LINES_A_POLL):
            if self.state != "running" or self._lines.empty():
                return
            line = self._lines.get_nowait()
            if line is not None:
                self._said.append(line)
                self.progress = self.progress.follow(line.rstrip())
            elif self._process.poll() is None:  # its output is closed, but it has not ended yet
                self._lines.put(None)
                return
            else:
                self._ended()

    def wait(self, seconds: float) -> None:
        """Sleep, then poll."""
        time.sleep(seconds)
        self.poll()

    def cancel(self) -> None:
        """Kill the running program and its children, or end its input if it stops by itself then."""
        self._cancelled = True
        if self._process.stdin:
            self._process.stdin.close()
        else:
            platforms.end_group(self._process)

    def end(self, within_s: float) -> None:
        """Kill the running program, and wait until it has ended."""
        end = time.monotonic() + within_s
        if self.state == "running":
            self.cancel()
        while self.state == "running" and time.monotonic() < end:
            self.wait(_POLL_S)

    def _start_next(self) -> None:
        step = self.steps[self._next]
        self._next, self.stage = self._next + 1, step.stage
        self._said.clear()
        try:
            self._process = subprocess.Popen(
                list(map(str, step.command)),
                stdin=subprocess.PIPE if step.heeds_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=step.environment,
                cwd=self.log.parent,  # so that nothing in Blender's current directory is imported
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
        self._append_to_log()
        if self._cancelled:
            self.state, self.error = "cancelled", f"{self.name} was cancelled."
        elif fault := step.fault(code, self._said):
            self.state, self.error = "failed", f"{step.stage} failed: {fault}"
        elif self._next < len(self.steps):
            self._start_next()
        else:
            self._finish()
        if self.state in {"failed", "cancelled"}:
            self.on_stopped()

    def _append_to_log(self) -> None:
        with suppress(OSError), self.log.open("a", encoding="utf-8") as log:  # the program reports a full disk
            log.writelines(self._said)

    def _finish(self) -> None:
        try:
            self.on_done()
        except OSError as error:
            self.state, self.error = "failed", f"{self.name} failed: {error}"
        else:
            self.state = "done"


_latest: list[Task] = []


def start(task: Task) -> None:
    """Start a task.

    Raises:
        SetupError: another task is running.
    """
    refuse_second()
    _latest[:] = [task]
    task.start()
    timers.begin(_poll, _POLL_S)


def refuse_second() -> None:
    """Refuse another task while one is running.

    Raises:
        SetupError: one is.
    """
    if running():
        raise SetupError(f"{latest().name} is not finished", hint="Wait for it or cancel it.")


def latest() -> Task | None:
    """The task that was started last."""
    return _latest[0] if _latest else None


def forget() -> None:
    """Forget the last task, unless it is running."""
    if not running():
        _latest.clear()


def running() -> bool:
    """Whether a task is running."""
    return any(task.state == "running" for task in _latest)


def stop() -> None:
    """Cancel the running task, and leave no timer and no process behind."""
    timers.end(_poll)
    for task in _latest:
        task.end(_GRACE_S)
    _latest.clear()


@timers.lasting(_POLL_S)
def _poll() -> float | None:
    for task in _latest:
        task.poll()
    redraw("PREFERENCES")
    redraw("IMAGE_EDITOR", region="UI")
    redraw_progress()
    return _POLL_S if running() else None
