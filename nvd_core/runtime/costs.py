"""Account for each stage's time and memory, and compute a job's progress and time left from its forecast."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Final, final

from nvd_core.runtime.progress import Tell
from nvd_core.spec.protocol import Event, Progress, Stage

_DOUBT: Final = 0.03
"""Part of the forecast taken as done at its own pace (a prior), so that the first frames do not decide the pace."""

_KEPT: Final = 0.1
"""Smallest ratio of a stage's time to its forecast at which it counts for the pace; with less it came from a
checkpoint."""


@final
@dataclass
class Ledger:
    """Seconds, CPU seconds and memory by stage, and progress of the whole job.

    Attributes:
        steps: stages of the job with their forecast in seconds. Other stages are details of the current one.
        tell: hears the events, progress within the stage turned into that of the whole job.
        stages: ``name``, ``layer``, ``seconds`` and ``cpu_seconds`` of each finished stage, in order.
    """

    steps: Sequence[tuple[str, float]]
    tell: Tell
    stages: list[dict[str, Any]] = field(default_factory=list)
    _at: int = -1
    _told: float = 0.0
    _expected_s: float = 0.0
    _took_s: float = 0.0
    """Forecast and time of the past steps that did not come from a checkpoint."""
    _begun: float = field(default_factory=time.monotonic)
    _memory: _Memory = field(default_factory=lambda: _Memory())  # noqa: PLW0108 (it comes later in this file)
    _opened: tuple[Stage, float, float] | None = None

    def hear(self, event: Event) -> None:
        """Account for an event, and tell it."""
        self._memory.look()
        if isinstance(event, Stage):
            self._close()
            self._open(event)
        self.tell(self._progress(event.done) if isinstance(event, Progress) else event)

    def go_on(self, steps: Sequence[tuple[str, float]]) -> None:
        """Replace the steps after the current one."""
        self.steps = [*self.steps[: self._at + 1], *steps]

    def costs(self) -> dict[str, Any]:
        """End the current stage, and list what the job took: stages, and memory of the process, None where unknown."""
        self._close()
        memory = {"peak_memory_bytes": self._memory.most(), "memory_before_bytes": self._memory.before}
        return {"stages": self.stages, **memory}

    def _progress(self, done: float) -> Progress:
        """Progress of the whole job, never falling, and time left: the forecast's rest times the pace so far."""
        costs = [seconds for _, seconds in self.steps]
        expected, whole = costs[max(0, self._at)] * min(1.0, done), sum(costs)
        past = sum(costs[: max(0, self._at)]) + expected
        doubt = _DOUBT * whole
        pace = (self._took_s + time.monotonic() - self._begun + doubt) / (self._expected_s + expected + doubt)
        self._told = max(self._told, past / whole)
        return Progress(done=round(self._told, 4), eta_s=round((whole - past) * pace, 1))

    def _open(self, stage: Stage) -> None:
        """Start timing a stage; if it is a step, close the step before it."""
        self._opened = (stage, time.monotonic(), time.process_time())
        names = [name for name, _ in self.steps]
        if stage.name not in names[self._at + 1 :]:
            return
        expected, took = self.steps[self._at][1] if self._at >= 0 else 0.0, time.monotonic() - self._begun
        if took > _KEPT * expected:
            self._expected_s, self._took_s = self._expected_s + expected, self._took_s + took
        self._at, self._begun = names.index(stage.name, self._at + 1), time.monotonic()

    def _close(self) -> None:
        """Record the current stage's seconds and CPU seconds."""
        if self._opened:
            stage, began, cpu_began = self._opened
            spent = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu_began}
            named = {"name": stage.name, "layer": stage.layer}
            self.stages.append(named | {key: round(value, 2) for key, value in spent.items()})
            self._opened = None


class _Memory:
    """Peak memory of this process during one job of maybe several."""

    def __init__(self) -> None:
        self.before, self._peak_before = memory_bytes(), peak_memory_bytes()
        self._seen = self.before or 0

    def look(self) -> None:
        self._seen = max(self._seen, memory_bytes() or 0)

    def most(self) -> int | None:
        """Peak during the job: exact if the process never used more before, else the highest sample at events."""
        peak = peak_memory_bytes()
        return peak if peak is None or peak > (self._peak_before or inf) else self._seen or None


def memory_bytes() -> int | None:
    """Memory this process uses now; None where the system does not say."""
    return _status("VmRSS")


def peak_memory_bytes() -> int | None:
    """Most memory this process has used so far; None where the system does not say."""
    if sys.platform == "linux":
        return _status("VmHWM")  # what resource says began with the process that started this one
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 (not on Windows)

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> int | None:
    """Read a field of ``/proc/self/status``, bytes; None where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)
