"""Gradient loss: match the image gradients of the reconstruction to the clip's."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def gradient(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared error of the reconstruction's forward differences, in x and in y.

    Source: Chan et al., ICCV 2023, gradient loss.
    """
    rebuilt, colours = (one[1:] - one[:1] for one in (ctx.rebuilt, ctx.colours))
    return (rebuilt - colours).square().sum((0, -1))
