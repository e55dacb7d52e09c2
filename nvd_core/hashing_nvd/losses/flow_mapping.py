"""Mapping flow loss: keep uv constant along optical flow."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext


def flow_mapping(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Change of uv along optical flow, px, weighted by alpha and summed over the layers.

    It is 0 where flow failed the cross-check.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    sample = ctx.matches.sample
    missed_px = (ctx.matched_uv - ctx.here.uv[:, sample]).norm(dim=-1) * ctx.px_per_uv[:, None]
    return ctx.over_matches((ctx.here.alpha[:, sample] * missed_px).sum(0))
