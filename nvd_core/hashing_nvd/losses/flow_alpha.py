"""Alpha flow loss: keep alpha constant along optical flow."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def flow_alpha(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Change of alpha along optical flow, summed over the foreground layers; 0 where flow failed the cross-check.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    change = ctx.matched_alpha - ctx.here.alpha[:, ctx.matches.sample]
    return ctx.over_matches(change[:-1].abs().sum(0))
