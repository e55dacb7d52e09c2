"""Published hyperparameters: Chan et al., ICCV 2023, and their code where the paper gives no value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from nvd_core.hashing_nvd.encodings.spec import GridSpec


@final
@dataclass(frozen=True, slots=True)
class Term:
    """Weight and schedule of a loss.

    Attributes:
        weight: factor of its mean.
        until: first step that leaves it out; None if it is always active.
    """

    weight: float
    until: int | None = None

    def counts_at(self, step: int) -> bool:
        """Whether the loss is active at a step, counted from 0."""
        return self.weight > 0 and (self.until is None or step < self.until)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Weights and schedules of all losses; a field has the name of its loss."""

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
    """Hyperparameters of the networks and of training.

    Attributes:
        grid: hash grid of textures, residuals and alpha.
        mapping_width: width of the mappings' hidden layers.
        width: width of the other networks' hidden layers.
        rate_grid: learning rate of the hash grids.
        rate_mlp: learning rate of all MLPs.
        scale_front: part of uv's [-1, 1] that a frame fills in a foreground layer's initial layout.
        scale_back: the same for the background.
        fit_steps: per frame, steps that first fit the mappings to ``scale * (x, y)``.
        terms: weights of the losses.
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
        """Scale of each layer's initial layout, front to back."""
        return [self.scale_front] * (layers - 1) + [self.scale_back]
