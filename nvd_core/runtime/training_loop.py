"""The training loop: saves checkpoints, reports progress and previews, and ends at steps, budget or target PSNR."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Bool, Shaped

from nvd_core.runtime.checkpoints import Arrays, Checkpoints
from nvd_core.runtime.progress import Progress, Tell
from nvd_core.spec.protocol import Metric
from nvd_core.spec.settings import Settings

_SAVE_EVERY_S: Final = 20.0
_TELL_EVERY_S: Final = 0.5
_SHOW_EVERY_S: Final = 5.0

_LOOK_EVERY: Final = 50
"""Steps between estimates of PSNR."""


@final
@dataclass(frozen=True)
class Limits:
    """Limits of training; whichever is reached first ends it.

    Attributes:
        steps: largest number of steps.
        budget_s: CPU seconds, summed over all threads.
        target_psnr: dB.
    """

    steps: int
    budget_s: float = math.inf
    target_psnr: float = math.inf

    @classmethod
    def of(cls, settings: Settings, steps: int) -> Limits:
        """Limits of a job's settings; ``steps`` is the default number of steps."""
        return cls(settings.steps or steps, settings.budget_s or math.inf, settings.target_psnr or math.inf)

    @property
    def ends_early(self) -> bool:
        """Whether a budget or a target may end training before the last step."""
        return min(self.budget_s, self.target_psnr) < math.inf

    def share(self, steps: int, cpu_seconds: float) -> float:
        """Spent share of the steps or of the budget, whichever is larger, 0 to 1."""
        return min(1.0, max(steps / self.steps, cpu_seconds / self.budget_s))


@runtime_checkable
class Trainee(Protocol):
    """Model in training, as the loop drives it.

    Attributes:
        steps: taken so far, without those that only initialise.
        cpu_seconds: spent so far, summed over all threads, interrupted runs included.
    """

    steps: int
    cpu_seconds: float

    def advance(self, limits: Limits) -> str:
        """Take one step and return the name of its stage."""
        ...

    def share(self, limits: Limits) -> float:
        """Progress of training, 0 to 1."""
        ...

    def psnr(self) -> float:
        """Estimate the PSNR of the reconstruction, dB."""
        ...

    def arrays(self) -> Arrays:
        """State as arrays, complete enough that the next step is the same as without interruption."""
        ...

    def take_up(self, arrays: Arrays) -> None:
        """Restore the state that :meth:`arrays` returned."""
        ...


@final
class _Timer:
    """Interval timer."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last = every_s, time.monotonic()

    def is_due(self) -> bool:
        """Whether the interval has passed since this last returned True."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True


def train(
    trainee: Trainee,
    limits: Limits,
    checkpoints: Checkpoints,
    progress: Progress,
    *,
    name: str,
    show: Callable[[], object],
) -> None:
    """Train to the last step, the budget or the target, starting from a checkpoint if there is one.

    Args:
        trainee: model in training.
        limits: when to end.
        checkpoints: where the state is saved, every 20 seconds and at the end.
        progress: hears stages, progress over all of them, and estimates of PSNR.
        name: of the state there.
        show: writes preview pictures of the current state.
    """
    sizes = {part: " ".join(map(str, array.shape)) for part, array in trainee.arrays().items()}
    kinds = {part: Shaped[np.ndarray, size] for part, size in sizes.items()}
    saved = checkpoints.load(name, **kinds, has_ended=Bool[np.ndarray, "1"])
    if saved is not None:
        trainee.take_up(saved)
    has_ended = saved is not None and bool(saved["has_ended"][0])
    save, report, preview, stage = _Timer(_SAVE_EVERY_S), _Timer(_TELL_EVERY_S), _Timer(_SHOW_EVERY_S), ""
    while not has_ended:
        steps = trainee.steps
        if stage != (stage := trainee.advance(limits)):
            progress.stage(stage)
        if trainee.steps > steps:
            has_ended = _reaches_limit(trainee, limits, progress.tell)
        if has_ended or save.is_due():
            checkpoints.save(name, trainee.arrays() | {"has_ended": np.array([has_ended])})
        if report.is_due():
            progress(trainee.share(limits))
        if preview.is_due():
            show()


def _reaches_limit(trainee: Trainee, limits: Limits, tell: Tell) -> bool:
    """Whether steps, budget or target PSNR are reached; PSNR is estimated now and then."""
    is_over = limits.share(trainee.steps, trainee.cpu_seconds) >= 1
    if is_over or trainee.steps % _LOOK_EVERY == 0:
        psnr = trainee.psnr()
        tell(Metric(name="psnr", value=round(psnr, 2)))
        is_over |= psnr >= limits.target_psnr
    return is_over
