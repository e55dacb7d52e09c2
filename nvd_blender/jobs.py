"""Running jobs: the only module that starts a worker or reads what it says.

A job holds no Blender data, so it survives opening another file. A thread only puts lines aside; what
they mean is worked out where Blender's data may be touched, in :meth:`Job.poll`.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import bpy

from nvd_core import __version__, protocol
from nvd_core.errors import NvdError

from . import compat, engine
from .labels import redraw

State = Literal["running", "done", "failed", "cancelled"]

_GRACE_S: Final = 10.0
"""A worker that was asked to stop is killed after this long."""

_POLL_S: Final = 0.1


@dataclass
class Job:
    """One decomposition in a worker process.

    Attributes:
        name: shown to the user.
        folder: where the result goes.
        on_done: called with the folder when it is finished.
        job_file: what the worker reads.
        log: what it says to a terminal; kept where it failed.
        state: running until the worker has ended.
        stage: what is being done.
        done: 0 to 1.
        eta_s: how long it may still take.
        metrics: by name.
        warnings: what the user should know.
        error: why it failed.
    """

    name: str
    folder: Path
    on_done: Callable[[Path], object]
    job_file: Path
    log: Path
    state: State = "running"
    stage: str = ""
    done: float = 0.0
    eta_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    _lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _process: subprocess.Popen[str] | None = None
    _kill_at: float | None = None

    def start(self, *, resume: bool) -> None:
        """Start the worker.

        Raises:
            SetupError: there is no engine.
        """
        self._process = engine.start_worker(self.job_file, self.folder, self.log, resume=resume)
        threading.Thread(target=self._read, daemon=True).start()

    def poll(self) -> None:
        """Take in what the worker has said since the last time."""
        while self.state == "running":
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._ended()
            elif (event := protocol.decode(line)) is not None:
                self._take(event)
        if self._kill_at is not None and self.state == "running" and time.monotonic() > self._kill_at:
            self._process.kill()

    def cancel(self) -> None:
        """Ask the worker to stop; what it has finished stays, and can be resumed."""
        self._kill_at = time.monotonic() + _GRACE_S
        try:
            self._process.stdin.write('{"type": "cancel"}\n')
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended already, which the next poll finds out

    def wait(self, seconds: float) -> None:
        """Give the worker this long to say something."""
        time.sleep(seconds)
        self.poll()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _take(self, event: protocol.Event) -> None:
        match event:
            case protocol.Hello(core=core) if core != __version__:
                self.warnings.append(f"The engine has version {core}, the extension {__version__}. Install it again.")
            case protocol.Stage(name=name, layer=layer):
                self.stage = " ".join(filter(None, (name, layer)))
            case protocol.Progress(done=done, eta_s=eta_s):
                self.done, self.eta_s = done, eta_s
            case protocol.Metric(name=name, value=value):
                self.metrics[name] = value
            case protocol.Caution(message=message, hint=hint):
                self.warnings.append(f"{message}. {hint}")
            case protocol.Failed(message=message, hint=hint, where=where):
                self.error = f"{message}{f' ({where})' if where else ''}. {hint}".strip()

    def _ended(self) -> None:
        code = self._process.wait()
        self.job_file.unlink(missing_ok=True)
        if code == 0:
            self.state, self.done = "done", 1.0
            self.log.unlink(missing_ok=True)
            try:
                self.on_done(self.folder)
            except (NvdError, RuntimeError, OSError) as error:  # Blender's own refusals are RuntimeErrors
                self.state, self.error = "failed", f"The result cannot be loaded: {error}"
        elif self._kill_at is not None:
            self.state, self.error = "cancelled", "The job was cancelled. It can be resumed."
        else:
            self.state = "failed"
            self.error = self.error or f"The worker ended with code {code}: {self._last_words()}. Its log: {self.log}"

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


_jobs: dict[Path, Job] = {}


def start(name: str, folder: Path, job: dict[str, Any], on_done: Callable[[Path], object], *, resume: bool) -> Job:
    """Start a job.

    Args:
        name: shown to the user.
        folder: where the result goes.
        job: as in ``job.toml``.
        on_done: called with the folder when the job is finished, from the main thread.
        resume: take up what a cancelled run has finished.

    Raises:
        SetupError: there is no engine.
    """
    place = compat.extension_folder(__package__) / "jobs"
    place.mkdir(parents=True, exist_ok=True)
    job_file = place / f"{uuid.uuid4().hex}.json"
    job_file.write_text(json.dumps(job), encoding="utf-8")
    started = Job(name, folder, on_done, job_file, job_file.with_suffix(".log"))
    started.start(resume=resume)
    _jobs[folder] = started
    if not bpy.app.background and not bpy.app.timers.is_registered(_poll_all):
        bpy.app.timers.register(_poll_all, first_interval=_POLL_S, persistent=True)
    return started


def latest() -> Job | None:
    """The job that was started last."""
    return next(reversed(_jobs.values()), None)


def running(folder: Path) -> Job | None:
    """The job that is writing to a folder."""
    job = _jobs.get(folder)
    return job if job is not None and job.state == "running" else None


def any_running() -> bool:
    """Whether any job is at work."""
    return any(job.state == "running" for job in _jobs.values())


def stop_all() -> None:
    """Cancel what runs, and leave no timer and no process behind."""
    if bpy.app.timers.is_registered(_poll_all):
        bpy.app.timers.unregister(_poll_all)
    for job in _jobs.values():
        if job.state == "running":
            job.cancel()
    end = time.monotonic() + 2 * _GRACE_S
    while any_running() and time.monotonic() < end:
        for job in _jobs.values():
            job.wait(_POLL_S)
    _jobs.clear()


def _poll_all() -> float | None:
    for job in _jobs.values():
        job.poll()
    redraw("SEQUENCE_EDITOR", "CLIP_EDITOR")
    return _POLL_S if any_running() else None
