"""The training loop: it keeps what was learnt, tells how far it is, shows it, and ends where it should."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

import numpy as np

from nvd_core.checkpoints import Arrays, Checkpoints
from nvd_core.protocol import Event, Metric, Preview, Progress, Stage
from nvd_core.settings import Settings

_SAVE_EVERY_S: Final = 20.0
_TELL_EVERY_S: Final = 0.5
_SHOW_EVERY_S: Final = 5.0

_LOOK_EVERY: Final = 50
"""Steps from one estimate of PSNR to the next."""


@final
@dataclass(frozen=True)
class Limits:
    """When training ends.

    Attributes:
        steps: at most.
        budget_s: CPU seconds, over all threads.
        target_psnr: dB.
    """

    steps: int
    budget_s: float = math.inf
    target_psnr: float = math.inf

    @classmethod
    def of(cls, settings: Settings, steps: int) -> Limits:
        """As a job has them, with the steps that are usual."""
        return cls(settings.steps or steps, settings.budget_s or math.inf, settings.target_psnr or math.inf)

    @property
    def ends_early(self) -> bool:
        """Whether something else than the steps may end it."""
        return min(self.budget_s, self.target_psnr) < math.inf

    def share(self, steps: int, cpu_seconds: float) -> float:
        """The part of steps or budget, whichever is further, that is spent; 1 at the end."""
        return min(1.0, max(steps / self.steps, cpu_seconds / self.budget_s))


@runtime_checkable
class Trainee(Protocol):
    """What is trained.

    Attributes:
        steps: taken so far, without those that only prepare.
        cpu_seconds: that they took, over all threads, also before an interruption.
    """

    steps: int
    cpu_seconds: float

    def advance(self, limits: Limits) -> str:
        """Take one step; the name of its stage is returned."""
        ...

    def share(self, limits: Limits) -> float:
        """How far training is, 0 to 1."""
        ...

    def psnr(self) -> float:
        """Estimate of the rebuilt frames' PSNR, dB."""
        ...

    def arrays(self) -> Arrays:
        """All it takes to go on with the very next step."""
        ...

    def take_up(self, arrays: Arrays) -> None:
        """Go on from where :meth:`arrays` were taken."""
        ...


@final
class _Timer:
    """Is due once in a while."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last = every_s, time.monotonic()

    def is_due(self) -> bool:
        """Whether the time has passed since this was last so."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True


def train(
    trainee: Trainee,
    limits: Limits,
    checkpoints: Checkpoints,
    *,
    name: str,
    show: Callable[[], Iterator[Preview]],
) -> Generator[Event, None, None]:
    """Train to the end of the steps, the budget, or the target, from where a checkpoint left off.

    Args:
        trainee: what is trained.
        limits: when to end.
        checkpoints: where the state is kept, every few seconds and at the end.
        name: of the state there.
        show: writes pictures of what has been learnt so far.

    Yields:
        Stages, progress from 0 to 1, estimates of PSNR, and previews.
    """
    kept = checkpoints.load(name)
    if kept is not None:
        trainee.take_up(kept)
    has_ended = kept is not None and bool(kept["has_ended"][0])
    save, tell, look, stage = _Timer(_SAVE_EVERY_S), _Timer(_TELL_EVERY_S), _Timer(_SHOW_EVERY_S), ""
    while not has_ended:
        steps = trainee.steps
        if stage != (stage := trainee.advance(limits)):
            yield Stage(name=stage)
        if trainee.steps > steps:
            has_ended = yield from _judge(trainee, limits)
        if has_ended or save.is_due():
            checkpoints.save(name, trainee.arrays() | {"has_ended": np.array([has_ended])})
        if tell.is_due():
            yield Progress(done=trainee.share(limits))
        if look.is_due():
            yield from show()


def _judge(trainee: Trainee, limits: Limits) -> Generator[Event, None, bool]:
    """Whether training ends here: steps, budget or target are reached."""
    is_over = limits.share(trainee.steps, trainee.cpu_seconds) >= 1
    if is_over or trainee.steps % _LOOK_EVERY == 0:
        psnr = trainee.psnr()
        yield Metric(name="psnr", value=round(psnr, 2))
        is_over |= psnr >= limits.target_psnr
    return is_over
