"""What each stage of a job cost, and how far the whole is."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from nvd_core.protocol import Event, Progress, Stage
from nvd_core.steps import Result, mapped

SHARES: Final = {
    "masks": 0.2,
    "prepare": 0.05,
    "cuts": 0.01,
    "solve": 0.62,
    "frames": 0.16,
    "measure": 0.11,
    "report": 0.05,
}
"""Rough part of a job's time that each phase takes, in their order."""


@final
@dataclass
class Ledger:
    """Seconds and CPU seconds by stage.

    Attributes:
        shares: the phases of the job, in their order, and the rough part of its time that each takes.
        stages: ``name``, ``layer``, ``seconds`` and ``cpu_seconds`` of each, in order.
    """

    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    stages: list[dict[str, Any]] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _opened: tuple[Stage, float, float] = field(init=False)

    def phase(self, name: str, events: Generator[Event | float, None, Result]) -> Generator[Event, None, Result]:
        """Pass a phase's events on, with progress turned into that of the whole job.

        Args:
            name: one of :data:`SHARES`.
            events: stages, and progress within the phase as events or bare numbers from 0 to 1.
        """
        names, whole = list(self.shares), sum(self.shares.values())
        before = sum(self.shares[other] for other in names[: names.index(name)]) / whole
        share = self.shares[name] / whole

        def tell(event: Event | float) -> Event:
            if isinstance(event, Stage):
                self._close()
                self._open(event)
            if isinstance(event, Progress):
                event = event.done
            return self._progress(before + share * event) if isinstance(event, (int, float)) else event

        self._open(Stage(name=name))
        yield Stage(name=name)
        result = yield from mapped(events, tell)
        self._close()
        return result

    def _progress(self, done: float) -> Progress:
        spent = time.monotonic() - self._started
        return Progress(done=round(done, 4), eta_s=round(spent / done * (1 - done), 1) if done > 0.03 else None)

    def _open(self, stage: Stage) -> None:
        self._opened = (stage, time.monotonic(), time.process_time())

    def _close(self) -> None:
        stage, seconds, cpu_seconds = self._opened
        spent = {"seconds": time.monotonic() - seconds, "cpu_seconds": time.process_time() - cpu_seconds}
        self.stages.append(
            {"name": stage.name, "layer": stage.layer} | {key: round(value, 2) for key, value in spent.items()}
        )


def peak_memory_bytes() -> int | None:
    """Most memory this process has used so far; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 (not on Windows)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
