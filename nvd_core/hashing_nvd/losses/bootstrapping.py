"""Bootstrapping: initialise alpha from the coarse masks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from nvd_core.hashing_nvd.losses.context import LossContext


def bootstrapping(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Binary cross-entropy of alpha against the masks, mean over the layers.

    The background's mask is what the others leave visible, which for hard masks is one minus their maximum.
    The loss is 0 for a clip without masks.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    if len(ctx.here.alpha) == 1:
        return ctx.here.alpha[0] * 0
    return binary_cross_entropy(ctx.here.alpha, ctx.coarse_alpha, reduction="none").mean(0)
