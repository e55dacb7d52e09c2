"""Sparsity: drive a foreground layer's texture to black where the layer is not visible."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def sparsity(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared norm of (1 - alpha) x colour, summed over the foreground layers.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    hidden = 1 - ctx.here.alpha[:-1, :, None]
    return (hidden * ctx.here.colour[:-1]).square().sum((0, -1))
