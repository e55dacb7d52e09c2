"""Residual regularisation: keep the residual near 1, so that colour goes to the texture."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def residual(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared deviation of the residual from 1, mean over the channels, summed over the layers.

    Source: Chan et al., ICCV 2023, section 3.3.
    """
    return (ctx.here.residual - 1).square().mean(-1).sum(0)
