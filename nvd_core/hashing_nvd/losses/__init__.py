"""The eleven losses, one per module. All take a :class:`LossContext` and return one value per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from nvd_core.hashing_nvd.losses.bootstrapping import bootstrapping
from nvd_core.hashing_nvd.losses.context import LossContext
from nvd_core.hashing_nvd.losses.flow_alpha import flow_alpha
from nvd_core.hashing_nvd.losses.flow_mapping import flow_mapping
from nvd_core.hashing_nvd.losses.global_rigidity import global_rigidity
from nvd_core.hashing_nvd.losses.gradient import gradient
from nvd_core.hashing_nvd.losses.ownership import ownership
from nvd_core.hashing_nvd.losses.residual import residual
from nvd_core.hashing_nvd.losses.residual_consistency import residual_consistency
from nvd_core.hashing_nvd.losses.rgb import rgb
from nvd_core.hashing_nvd.losses.rigidity import rigidity
from nvd_core.hashing_nvd.losses.sparsity import sparsity
from nvd_core.hashing_nvd.recipe import Terms

Loss = Callable[[LossContext], Tensor]

LOSSES: Final[dict[str, Loss]] = {
    "rgb": rgb,
    "gradient": gradient,
    "sparsity": sparsity,
    "bootstrapping": bootstrapping,
    "ownership": ownership,
    "flow_alpha": flow_alpha,
    "flow_mapping": flow_mapping,
    "rigidity": rigidity,
    "global_rigidity": global_rigidity,
    "residual": residual,
    "residual_consistency": residual_consistency,
}
"""Losses by the name of their field in :class:`nvd_core.hashing_nvd.recipe.Terms`."""


def weighted_losses(ctx: LossContext, terms: Terms, step: int) -> dict[str, Tensor]:
    """Weighted mean over the batch of each loss that is active at a step."""
    counting = {name: term for name in LOSSES if (term := getattr(terms, name)).counts_at(step)}
    return {name: term.weight * LOSSES[name](ctx).mean() for name, term in counting.items()}
