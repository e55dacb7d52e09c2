"""The published constants, in one place: Chan et al., ICCV 2023, and their code where the paper is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from nvd_core.neural.encodings.spec import GridSpec


@final
@dataclass(frozen=True, slots=True)
class Term:
    """How much a loss counts.

    Attributes:
        weight: what its mean is multiplied by.
        until: steps after which it is left out; None if it always counts.
    """

    weight: float
    until: int | None = None

    def counts_at(self, step: int) -> bool:
        """Whether it is part of this step, counted from 0."""
        return self.weight > 0 and (self.until is None or step < self.until)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Weights and schedule of all losses; a field has the name of its loss."""

    rgb: Term = Term(5.0)
    gradient: Term = Term(1.0)
    sparsity: Term = Term(1.0)
    bootstrapping: Term = Term(2.0, until=10_000)
    ownership: Term = Term(0.1)
    flow_alpha: Term = Term(0.05)
    flow_mapping: Term = Term(0.01)
    rigidity: Term = Term(0.001)
    global_rigidity: Term = Term(0.005, until=5_000)
    residual: Term = Term(0.5)
    residual_consistency: Term = Term(0.1)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Networks and training.

    Attributes:
        grid: of textures, residuals and alpha.
        mapping_width: of the mappings' hidden layers.
        width: of the other networks' hidden layers.
        rate_grid: learning rate of the grids.
        rate_mlp: of everything else.
        scale_front: part of uv's [-1, 1] that a foreground layer's frame fills at first.
        scale_back: likewise, the background's.
        fit_steps: for each frame, steps that fit the mappings to ``scale * (x, y)`` before all else.
        terms: the losses.
    """

    grid: GridSpec = field(default_factory=GridSpec)
    mapping_width: int = 256
    width: int = 64
    rate_grid: float = 1e-2
    rate_mlp: float = 1e-4
    scale_front: float = 0.9
    scale_back: float = 0.6
    fit_steps: int = 100
    terms: Terms = field(default_factory=Terms)

    def scales(self, layers: int) -> list[float]:
        """For each layer, front to back."""
        return [self.scale_front] * (layers - 1) + [self.scale_back]
