"""Image gradients: edges of the rebuilt frame lie and look as those of the clip."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.losses.context import LossContext


def gradient(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Squared distance of forward differences, in x and in y, from the clip's.

    Source: Chan et al., ICCV 2023, gradient loss.
    """
    rebuilt, colours = (one[1:] - one[:1] for one in (ctx.rebuilt, ctx.colours))
    return (rebuilt - colours).square().sum((0, -1))
