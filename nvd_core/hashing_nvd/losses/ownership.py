"""Alpha regularisation: push every pixel to belong to one layer."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def ownership(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Minus the logarithm of the largest visible alpha.

    Source: Chan et al., ICCV 2023, alpha regularisation.
    """
    return -ctx.here.alpha.amax(0).log()
