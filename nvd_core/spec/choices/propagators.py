"""Propagators: what carries masks of single frames to all others; the rows of the setting ``carry``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar, Final

from nvd_core.spec.choices import Choice, Cost, Learned
from nvd_core.spec.choices.finders import LEARNED_BYTES, LEARNED_S
from nvd_core.spec.errors import UsageError

if TYPE_CHECKING:
    from nvd_core.roto.propagate import Tracker
    from nvd_core.spec.settings import Device, Job


class Propagator(Choice):
    """Propagator of masks from key frames to every frame."""

    setting = "carry"
    rows: ClassVar[dict[str, type[Propagator]]]

    @abstractmethod
    def open(self, device: Device, cache: Path) -> Callable[[str], Tracker]:
        """Open the tracker: a function of an object's name, which returns the tracker of that object.

        Args:
            device: where a network runs.
            cache: folder for finished outlines, which an interrupted job reads back.

        Raises:
            SetupError: a package is missing, or there is no such device.
            InputError: there is no such model, or it cannot be used.
        """


@dataclass(frozen=True)
class Motion(Propagator):
    """Motion and appearance, with nothing learned."""

    name = "motion"
    about = "nothing learned"
    cost = Cost(cpu_s={"carry": {"frame": 0.22}}, peak_bytes={"carry": {"job": 2.8e8, "frame": 3.5e5}})

    def open(self, device: Device, cache: Path) -> Callable[[str], Tracker]:  # noqa: ARG002
        """See :meth:`Propagator.open`."""
        track, keep = resolve_name("nvd_core.roto.propagate:track_motion"), resolve_name("nvd_core.roto.cache:Kept")
        return lambda layer: partial(track, keep(cache, layer))


@dataclass(frozen=True)
class Sam2(Learned, Propagator):
    """SAM 2 (Ravi et al., 2024)."""

    name = "sam2"
    form = "sam2:FOLDER"
    about = "that model"
    opener = "nvd_core.roto.models.sam2:Sam2.open"
    cost = Cost(cpu_s={"carry": {"frame": LEARNED_S}}, peak_bytes={"carry": {"job": LEARNED_BYTES}})

    def check(self, job: Job) -> None:
        """Refuse a model without a path, and one with nothing to carry."""
        super().check(job)
        finds = not job.masks and job.settings.find.finds(2)
        if not finds and all(mask.frame is None for mask in job.masks):
            hint = "Give masks of single frames, or leave it out."
            raise UsageError("carry names a model, and there is nothing to carry", hint=hint)

    def open(self, device: Device, cache: Path) -> Callable[[str], Tracker]:  # noqa: ARG002
        """See :meth:`Propagator.open`."""
        model = self.open_model(device)
        return lambda _: model.follow


PROPAGATORS: Final[dict[str, type[Propagator]]] = {row.name: row for row in (Motion, Sam2)}
"""Table of the propagators, by name."""
Propagator.rows = PROPAGATORS
