"""Run one decomposition in a worker process, and read its events: the only module that does.

Masks of Blender are rendered first, by a second Blender that speaks the worker's protocol.

A job holds no Blender data, so it survives opening another .blend. A thread only queues lines of output;
:meth:`Job.poll` interprets them in the main thread, where Blender's data may be changed.
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

from nvd_core import __version__
from nvd_core.spec import protocol
from nvd_core.spec.errors import NvdError, SetupError, as_told, shown

from ..engine import location
from ..host import opened, platforms
from ..result import paint, undo
from ..result.compositor import load_result
from ..result.scenes import folder_of
from ..source.mattes import rendering_command
from ..source.records import Record
from ..source.wording import in_blender
from . import frame_check, previews

State = Literal["waiting", "running", "done", "failed", "cancelled", "left"]

_GRACE_S: Final = 10.0
"""Seconds from cancelling a worker to killing it."""

_LINES_A_POLL: Final = 100
"""Largest number of lines per poll: a verbose worker must not block Blender."""

_KILLED: Final = -9
_WHY_KILLED: Final = (
    "the system has killed it, mostly as memory ran out. Close other programs or set a lower Memory Limit, then Resume"
)


@dataclass
class Job:
    """One decomposition in a worker process.

    Attributes:
        record: on disk, by which a later Blender finds the job.
        resumes: whether it uses checkpoints of an earlier run.
        state: ``left`` if an earlier Blender left it, or if its result belongs to another .blend than the open one.
        stage: current stage, as the worker names it.
        done: progress, 0 to 1.
        eta_s: estimate of the remaining time, s.
        metrics: by name.
        measured_at: size of the pictures that they were measured on; empty for estimates while solving.
        warnings: for the user.
        error: message if it failed or was cancelled.
        engine: versions of the worker, if known.
        has_folder: whether it has begun to write to its folder.
        is_whole: whether its result is finished but not loaded.
        can_resume: whether resuming may help: not if the input was refused and there is no checkpoint.
        home: the .blend in which it was started.
    """

    record: Record
    resumes: bool = False
    state: State = "waiting"
    stage: str = "start"
    done: float = 0.0
    eta_s: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    measured_at: str = ""
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    engine: str = "not known"
    has_folder: bool = False
    is_whole: bool = False
    can_resume: bool = True
    home: opened.File = field(default_factory=opened.now)
    _lines: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None
    _kill_at: float | None = None
    _renders_masks: bool = False
    _originals: dict[Path, paint.Mark] | None = None

    @property
    def key(self) -> str:
        """Key of the job for operators and previews."""
        return self.record.place.name

    @property
    def name(self) -> str:
        """Name of the job, shown to the user."""
        return self.record.name

    @property
    def folder(self) -> Path:
        """Folder of the result."""
        return self.record.folder

    @property
    def is_active(self) -> bool:
        """Whether it is running or waiting."""
        return self.state in {"waiting", "running"}

    def start(self, *, keeps_paint: bool = True) -> None:
        """Start rendering the masks, if there are any to render, else the worker.

        Args:
            keeps_paint: save paint that is newer than the queued job, so that the worker reads it.
        """
        self._renders_masks = self.record.lacks_mattes
        self.stage, self.done = "rasterise" if self._renders_masks else "start", 0.0
        try:
            if keeps_paint:
                self.warnings += paint.keep_all(self.folder)
            self._originals = paint.originals(self.folder)
            self.record.settle("")
            self._process = self._spawn()
        except (NvdError, OSError) as error:
            self._end("failed", str(as_told(error)))
            return
        self.state = "running"
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _spawn(self) -> subprocess.Popen[str]:
        """Start the process; its standard error goes to the log.

        Raises:
            SetupError: it cannot be started.
        """
        if self._renders_masks:
            self.record.drop_half_mattes()  # a killed Blender may have left some
            command, environment = rendering_command(self.record.place.absolute()), None
        else:
            command = location.worker_command(
                self.record.job_file, self.folder, resume=self.resumes, replaces=self.record.replaces
            )
            environment = platforms.environment_for_python()
        try:
            with self.record.log.open("wb") as errors:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment,
                    cwd=self.record.place,  # not Blender's: beside a stranger's .blend, Python could import their files
                    encoding="utf-8", errors="replace", **platforms.own_group(),
                )  # fmt: skip
        except OSError as error:
            what = "Blender" if self._renders_masks else "The engine's Python"
            raise SetupError(
                f"{what} cannot be started: {error.strerror}", where=command[0], hint="Check that it may be run."
            ) from error

    def poll(self) -> bool:
        """Process the worker's events since the last poll; return whether there were any."""
        heard = False
        for _ in range(_LINES_A_POLL):
            if self.state != "running" or self._lines.empty():
                break
            heard = True
            line = self._lines.get_nowait()
            if line is None and self._process.returncode == 0 and undo.is_user_at_work():
                self._lines.put(None)  # load the result after the user's stroke or render
                return heard
            if line is None:
                self._ended(self._process.returncode)
            elif (event := protocol.decode(line)) is not None:
                self._take(event)
        if self._kill_at is not None and self.state == "running" and time.monotonic() > self._kill_at:
            self._process.kill()
        return heard

    def cancel(self) -> None:
        """Ask the worker to stop; its checkpoints stay and can be resumed."""
        if self.state == "waiting":
            self._end("cancelled", "The job was taken out of the queue.")
            return
        self._kill_at = self._kill_at or time.monotonic() + _GRACE_S
        with suppress(OSError, ValueError):  # it has ended already; the next poll notices
            self._process.stdin.write('{"type": "cancel"}\n')
            self._process.stdin.flush()

    def abandon(self) -> None:
        """Close the worker's input, at which it stops by itself; a later Blender can resume. See :meth:`end_by`."""
        if self._process is not None:
            with suppress(OSError):
                self._process.stdin.close()
        previews.drop(self.key)

    def end_by(self, end: float) -> None:
        """Wait for an abandoned worker until a time, then kill it. A killed job can be resumed, too."""
        if self._process is not None:
            self._reader.join(max(0.0, end - time.monotonic()))
            self._process.kill()
            self._reader.join(_GRACE_S)
        self.record.release()

    def load(self) -> None:
        """Load the result into a scene, which completes the job."""
        self.is_whole = True
        self._end("failed", "The result cannot be loaded.")  # replaced on success: no error here may block the queue
        try:
            if self._originals is not None:
                self.warnings += paint.set_aside(self.folder, self._originals)
                self._originals = paint.originals(self.folder)
            frame_check.forget(folder_of(load_result(self.folder)))
        except Exception as error:  # noqa: BLE001 (Blender may raise anything; the queue must go on)
            self.error = f"The result cannot be loaded: {error}"
        else:
            self.state, self.done, self.error, self.is_whole = "done", 1.0, "", False
            undo.keep(f"Load {self.name}")
            self.record.remove()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with process.stdout:
            for line in process.stdout:
                self._lines.put(line)
        process.wait()  # in this thread, so that Blender never blocks
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
                self.has_folder |= name == "solve"  # before it, the folder's content stays
            case protocol.Progress(done=done, eta_s=eta_s):
                self.done, self.eta_s = min(1.0, max(0.0, done)), eta_s
            case protocol.Metric(name=name, value=value, size=size):
                self.metrics[name], self.measured_at = value, size
            case protocol.Preview(path=path, layer=layer):
                previews.show(self.key, layer, path)
            case protocol.Caution(message=message, hint=hint):
                self.warnings.append(in_blender(shown(f"{message}. {hint}")))
            case protocol.Failed(code=code, message=message, hint=hint, where=where):
                self.can_resume = code not in {"input", "usage"} or self.record.has_checkpoint
                self.error = in_blender(str(NvdError(message, where=where, hint=hint)))

    def _ended(self, code: int) -> None:
        with suppress(OSError):
            self._process.stdin.close()
        previews.drop(self.key)
        if code == 0 and not self._renders_masks:
            (self.load if self.home is opened.now() else self._leave_result)()
        elif code == 0 and self._kill_at is None and not self.record.lacks_mattes:
            self.start()
        elif self._kill_at is not None:
            self._end("cancelled", "The job was cancelled. It can be resumed.")
        else:
            who = "Blender, which renders the masks," if self._renders_masks else "The worker"
            why = _WHY_KILLED if code == _KILLED else self._last_words()
            words = f"{who} ended with code {code}: {why}. Its log: {self.record.log}"
            self._end("failed", self.error or words)

    def _leave_result(self) -> None:
        """List the finished result without loading it: the job was started in another .blend than the open one."""
        self.is_whole = True
        self._end(
            "left",
            f"The result is ready in {self.folder}. It was not loaded, as it was asked for in another file.",
        )
        self.record.release()

    def _end(self, state: State, said: str) -> None:
        self.record.drop_half_mattes()
        self.state, self.error = state, said
        with suppress(NvdError):  # a full disk; the next Blender then lists the job as interrupted
            self.record.settle(said)

    def _last_words(self) -> str:
        try:
            lines = self.record.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return "its log is gone"
        return next((shown(line.strip()) for line in reversed(lines) if line.strip()), "it said nothing")
