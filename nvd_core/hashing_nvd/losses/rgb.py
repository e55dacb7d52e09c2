"""Reconstruction loss: match the reconstruction's colours to the clip's."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def rgb(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared error of the reconstructed colour, display-encoded.

    Source: Chan et al., ICCV 2023, reconstruction loss.
    """
    return (ctx.rebuilt[0] - ctx.colours[0]).square().sum(-1)
