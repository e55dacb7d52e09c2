"""Reconstruction: the rebuilt frame looks like the clip."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.losses.context import LossContext


def rgb(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared distance of the rebuilt colour from the clip's.

    Source: Chan et al., ICCV 2023, reconstruction loss.
    """
    return (ctx.rebuilt[0] - ctx.colours[0]).square().sum(-1)
