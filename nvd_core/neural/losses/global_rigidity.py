"""Global rigidity: a layer's texture keeps its shape over a good part of the frame, too."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.losses.context import LossContext
from nvd_core.neural.losses.rigidity import unlike_isometry

_BACKGROUND = 10.0
"""The background's share: published weights are 0.005 for foreground layers, 0.05 for the background."""


def global_rigidity(ctx: LossContext) -> Float[Tensor, " batch"]:
    """How far the mapping is from an isometry over 100 px, foreground layers and 10 x the background.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    unlike = unlike_isometry(ctx.far, ctx.px_per_uv)
    return unlike[:-1].sum(0) + _BACKGROUND * unlike[-1]
