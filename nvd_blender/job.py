"""One job: the only module that starts a worker or reads what it says.

Where Blender has masks to render first, another Blender does that, which says the same as a worker.

A job holds no Blender data, so it survives opening another file. A thread only puts lines aside; what
they mean is worked out where Blender's data may be touched, in :meth:`Job.poll`.
"""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from nvd_core import __version__, protocol
from nvd_core.errors import NvdError, SetupError

from . import engine, platforms, previews, undo
from .compositor import load_result
from .mattes import rendering_command
from .records import Record

State = Literal["waiting", "running", "done", "failed", "cancelled", "left"]

_GRACE_S: Final = 10.0
"""A worker that was asked to stop is killed after this long."""

_LINES_A_POLL: Final = 100
"""A worker that says much keeps Blender waiting for no longer than these take."""


@dataclass
class Job:
    """One decomposition in a worker process.

    Attributes:
        record: what finds it again if Blender ends.
        resumes: whether it takes up what an earlier run has finished.
        state: left, if an earlier Blender has left it behind.
        stage: what is being done.
        done: 0 to 1.
        eta_s: how long it may still take.
        metrics: by name.
        warnings: what the user should know.
        error: why it failed.
        engine: who works, if that is known.
        has_folder: whether it has begun to write to its folder.
        is_whole: whether its result is there, though not loaded.
    """

    record: Record
    resumes: bool = False
    state: State = "waiting"
    stage: str = "start"
    done: float = 0.0
    eta_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    engine: str = "not known"
    has_folder: bool = False
    is_whole: bool = False
    _lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None
    _kill_at: float | None = None
    _renders_masks: bool = False

    @property
    def key(self) -> str:
        """What operators and previews call it."""
        return self.record.place.name

    @property
    def name(self) -> str:
        """Shown to the user."""
        return self.record.name

    @property
    def folder(self) -> Path:
        """Where the result goes."""
        return self.record.folder

    @property
    def is_active(self) -> bool:
        """Whether it is at work, or will be."""
        return self.state in {"waiting", "running"}

    def start(self) -> None:
        """Start what renders the masks, if that has to be done, else the worker."""
        self._renders_masks = self.record.lacks_mattes
        self.stage, self.done = "rasterise" if self._renders_masks else "start", 0.0
        try:
            self.record.settle("")
            self._process = self._started()
        except NvdError as error:
            self._end("failed", str(error))
            return
        self.state = "running"
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _started(self) -> subprocess.Popen[str]:
        """The program; what it says to a terminal goes to the log.

        Raises:
            SetupError: it cannot be started.
        """
        if self._renders_masks:
            self.record.drop_half_mattes()  # of a Blender that was killed
            command, environment = rendering_command(self.record.place), None
        else:
            command = engine.worker_command(self.record.job_file, self.folder, resume=self.resumes)
            environment = platforms.environment_for_python()
        try:
            with self.record.log.open("wb") as errors:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
                    encoding="utf-8", errors="replace", **platforms.own_group(),
                )  # fmt: skip
        except OSError as error:
            what = "Blender" if self._renders_masks else "The engine's Python"
            raise SetupError(
                f"{what} cannot be started: {error.strerror}", where=command[0], hint="Check that it may be run."
            ) from error

    def poll(self) -> bool:
        """Take in what the worker has said since the last time; whether it has said anything."""
        heard = False
        for _ in range(_LINES_A_POLL):
            if self.state != "running" or self._lines.empty():
                break
            heard = True
            line = self._lines.get_nowait()
            if line is None and self._process.returncode == 0 and undo.is_user_at_work():
                self._lines.put(None)  # the result is loaded when the stroke or the render has ended
                return heard
            if line is None:
                self._ended(self._process.returncode)
            elif (event := protocol.decode(line)) is not None:
                self._take(event)
        if self._kill_at is not None and self.state == "running" and time.monotonic() > self._kill_at:
            self._process.kill()
        return heard

    def cancel(self) -> None:
        """Ask the worker to stop; what it has finished stays, and can be resumed."""
        if self.state == "waiting":
            self._end("cancelled", "The job was taken out of the queue.")
            return
        self._kill_at = self._kill_at or time.monotonic() + _GRACE_S
        with suppress(OSError, ValueError):  # it has ended already, which the next poll finds out
            self._process.stdin.write('{"type": "cancel"}\n')
            self._process.stdin.flush()

    def abandon(self) -> None:
        """Leave it to the next Blender: with its input closed the worker stops by itself; see :meth:`end_by`."""
        if self._process is not None:
            with suppress(OSError):
                self._process.stdin.close()
        previews.drop(self.key)

    def end_by(self, end: float) -> None:
        """Wait until then for an abandoned worker and its reader, and no longer. A kill can be resumed, too."""
        if self._process is not None:
            self._reader.join(max(0.0, end - time.monotonic()))
            self._process.kill()
            self._reader.join(_GRACE_S)
        self.record.release()

    def load(self) -> None:
        """Build the scene of the result; the job is done then."""
        self.is_whole = True
        self._end("failed", "The result cannot be loaded.")  # until it is: nothing that happens here holds up the queue
        try:
            load_result(self.folder)
        except Exception as error:  # noqa: BLE001 (whatever Blender refuses; the jobs behind it must go on)
            self.error = f"The result cannot be loaded: {error}"
        else:
            self.state, self.done, self.error, self.is_whole = "done", 1.0, "", False
            undo.keep(f"Load {self.name}")
            self.record.remove()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stdout:
            for line in process.stdout:
                self._lines.put(line)
        process.wait()  # here, so that Blender never waits for it
        self._lines.put(None)

    def _take(self, event: protocol.Event) -> None:
        match event:
            case protocol.Hello(core=core, python=python):
                self.engine = f"{core}, Python {python}"
                if core != __version__:
                    self.warnings.append(
                        f"The engine has version {core}, the extension {__version__}. Install it again."
                    )
            case protocol.Stage(name=name, layer=layer):
                self.stage = " ".join(filter(None, (name, layer)))
                self.has_folder |= name == "solve"  # nothing is written before the clip has been read
            case protocol.Progress(done=done, eta_s=eta_s):
                self.done, self.eta_s = min(1.0, max(0.0, done)), eta_s
            case protocol.Metric(name=name, value=value):
                self.metrics[name] = value
            case protocol.Preview(path=path, layer=layer):
                previews.show(self.key, layer, path)
            case protocol.Caution(message=message, hint=hint):
                self.warnings.append(f"{message}. {hint}")
            case protocol.Failed(message=message, hint=hint, where=where):
                self.error = f"{message}{f' ({where})' if where else ''}. {hint}".strip()

    def _ended(self, code: int) -> None:
        with suppress(OSError):
            self._process.stdin.close()
        previews.drop(self.key)
        if code == 0 and not self._renders_masks:
            self.load()
        elif code == 0 and self._kill_at is None and not self.record.lacks_mattes:
            self.start()
        elif self._kill_at is not None:
            self._end("cancelled", "The job was cancelled. It can be resumed.")
        else:
            who = "Blender, which renders the masks," if self._renders_masks else "The worker"
            words = f"{who} ended with code {code}: {self._last_words()}. Its log: {self.record.log}"
            self._end("failed", self.error or words)

    def _end(self, state: State, said: str) -> None:
        self.record.drop_half_mattes()
        self.state, self.error = state, said
        with suppress(NvdError):  # a full disk; then the next Blender takes it for one that was cut off
            self.record.settle(said)

    def _last_words(self) -> str:
        try:
            lines = self.record.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return "its log is gone"
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
