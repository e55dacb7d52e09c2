"""Solvers, the rows of the setting ``solver``, and starts of the neural solver, the rows of ``start``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from nvd_core.spec.choices import Choice, Cost
from nvd_core.spec.errors import SetupError, UsageError

if TYPE_CHECKING:
    from nvd_core.runtime.checkpoints import Checkpoints
    from nvd_core.runtime.progress import Progress
    from nvd_core.shot import Shot
    from nvd_core.shot.solution import Solution
    from nvd_core.spec.settings import Job, Settings

Solve: TypeAlias = "Callable[[Shot, Settings, Checkpoints, Progress], Solution]"

_NEURAL_ALONE: Final = ("steps", "batch", "budget_s", "target_psnr")
_TORCH_BYTES: Final = 0.35e9

_TRAINING_S: Final = 3600.0
"""Nominal seconds of a training from random initialisation, for progress alone."""


@contextmanager
def needing_torch(message: str) -> Iterator[None]:
    """Tell by a message that torch is missing, if an import within fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SetupError(message, hint="pip install 'nvd-blender[neural]'") from error


class Solver(Choice):
    """Solver of a shot.

    Attributes:
        opener: module and function that solves.
        needs_torch: whether the engine must have torch.
    """

    setting = "solver"
    rows: ClassVar[dict[str, type[Solver]]]
    opener: ClassVar[str]
    needs_torch: ClassVar[bool] = False

    def check(self, job: Job) -> None:
        """Refuse settings that this solver would ignore."""
        if job.settings.preset == "paper":
            raise UsageError("The preset paper is the neural solver's", hint="Add --solver neural, or choose another.")
        for name in _NEURAL_ALONE:
            if getattr(job.settings, name) is not None:
                raise UsageError(f"{name} is the neural solver's", hint="Add --solver neural, or leave it out.")

    def open(self) -> Solve:
        """Import what solves.

        Raises:
            SetupError: torch is missing.
        """
        with needing_torch(f"The {self.name} solver needs torch"):
            return resolve_name(self.opener)

    def costs(self, settings: Settings) -> Cost:  # noqa: ARG002 (some cost the same whatever they are)
        """Cost with these settings."""
        return self.cost

    def stages(self, layers: Sequence[str], settings: Settings) -> list[str]:  # noqa: ARG002
        """Stages in order, those of single layers with the layer's kind: ``map of an object``."""
        return ["solve"]


@dataclass(frozen=True)
class Lattice(Solver):
    """Least squares over lattices of splines."""

    name = "lattice"
    about = "explicit, any CPU, a few minutes"
    opener = "nvd_core.lattice.solve:solve"

    def stages(self, layers: Sequence[str], settings: Settings) -> list[str]:  # noqa: ARG002
        """See :meth:`Solver.stages`."""
        return _in_two_rounds(layers)


@dataclass(frozen=True)
class Neural(Solver):
    """Gradient descent, from the start that the settings name."""

    name = "neural"
    about = "trained with gradients, needs torch"
    opener = "nvd_core.solvers.neural:solve"
    needs_torch = True

    def check(self, job: Job) -> None:
        """Refuse settings that the start would ignore."""
        job.settings.starts_from.check(job)

    def costs(self, settings: Settings) -> Cost:
        """See :meth:`Solver.costs`."""
        return settings.starts_from.cost

    def stages(self, layers: Sequence[str], settings: Settings) -> list[str]:
        """See :meth:`Solver.stages`."""
        return settings.starts_from.stages(layers)


class Start(Choice):
    """Start of the neural solver.

    Attributes:
        opener: module and function that solves; it takes a torch device beside what every solver takes.
    """

    setting = "start"
    rows: ClassVar[dict[str, type[Start]]]
    opener: ClassVar[str]

    def open(self) -> Callable[..., Solution]:
        """Import what solves."""
        return resolve_name(self.opener)

    def stages(self, layers: Sequence[str]) -> list[str]:  # noqa: ARG002
        """See :meth:`Solver.stages`."""
        return ["solve"]


@dataclass(frozen=True)
class FromLattice(Start):
    """The lattice solver's maps, refined."""

    name = "lattice"
    about = "that solver's result, refined"
    opener = "nvd_core.refine.solve:solve_from_lattice"
    cost = Cost(
        cpu_s={"refine": {"job": 2.1, "trained_px": 3.1e-7}},
        peak_bytes={"refine": {"job": 2.7e8, "map": 1.7e5, "working_px": 20}},
        loaded_bytes=_TORCH_BYTES,
    )

    def check(self, job: Job) -> None:
        """Refuse a batch."""
        if job.settings.batch is not None:
            raise UsageError("batch is for networks that start from nothing", hint="Add --start none, or leave it out.")

    def stages(self, layers: Sequence[str]) -> list[str]:
        """See :meth:`Solver.stages`."""
        return _in_two_rounds(layers, "refine")


@dataclass(frozen=True)
class FromNothing(Start):
    """Random initialisation, as published."""

    name = "none"
    about = "nothing, as published"
    opener = "nvd_core.hashing_nvd.from_random:solve_from_nothing"
    cost = Cost(
        cpu_s={"solve": {"job": _TRAINING_S}},
        peak_bytes={"solve": {"job": 1.5e9, "working_px": 32.0}},
        loaded_bytes=_TORCH_BYTES,
        is_known=False,
    )


def _in_two_rounds(layers: Sequence[str], *between: str) -> list[str]:
    """Stages of a solver that maps all layers before it draws their atlases."""
    return [*(f"map of {one}" for one in layers), *between, *(f"atlas of {one}" for one in layers)]


SOLVERS: Final[dict[str, type[Solver]]] = {row.name: row for row in (Lattice, Neural)}
"""Table of the solvers, by name."""
Solver.rows = SOLVERS

STARTS: Final[dict[str, type[Start]]] = {row.name: row for row in (FromLattice, FromNothing)}
"""Table of the neural solver's starts, by name."""
Start.rows = STARTS

SOLUTIONS: Final[dict[str, str]] = {
    "lattice": "nvd_core.lattice.solution:LatticeSolution",
    "hashing_nvd": "nvd_core.hashing_nvd.solution:NeuralSolution",
}
"""Module and class of what solvers store, by the kind that the manifest names; its ``load`` restores it."""
