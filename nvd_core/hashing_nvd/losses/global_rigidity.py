"""Global rigidity: keep the mapping close to an isometry over about an eighth of the frame's width."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext
from nvd_core.hashing_nvd.losses.rigidity import unlike_isometry

_BACKGROUND = 10.0
"""Weight of the background against a foreground layer: published are 0.05 and 0.005."""


def global_rigidity(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Deviation of the mapping from an isometry over 100 px of 768; the background counts ten times.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    unlike = unlike_isometry(ctx.far, ctx.px_per_uv)
    return unlike[:-1].sum(0) + _BACKGROUND * unlike[-1]
