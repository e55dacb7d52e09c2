"""The eleven losses, one a module. All have one signature, and none reduces over its samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from nvd_core.neural.losses.bootstrapping import bootstrapping
from nvd_core.neural.losses.context import LossContext
from nvd_core.neural.losses.flow_alpha import flow_alpha
from nvd_core.neural.losses.flow_mapping import flow_mapping
from nvd_core.neural.losses.global_rigidity import global_rigidity
from nvd_core.neural.losses.gradient import gradient
from nvd_core.neural.losses.ownership import ownership
from nvd_core.neural.losses.residual import residual
from nvd_core.neural.losses.residual_consistency import residual_consistency
from nvd_core.neural.losses.rgb import rgb
from nvd_core.neural.losses.rigidity import rigidity
from nvd_core.neural.losses.sparsity import sparsity
from nvd_core.neural.recipe import Terms

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
"""By the name of their field in :class:`nvd_core.neural.recipe.Terms`."""


def weighted_losses(ctx: LossContext, terms: Terms, step: int) -> dict[str, Tensor]:
    """Mean of each loss that counts at a step, times its weight."""
    counting = {name: term for name in LOSSES if (term := getattr(terms, name)).counts_at(step)}
    return {name: term.weight * LOSSES[name](ctx).mean() for name, term in counting.items()}
