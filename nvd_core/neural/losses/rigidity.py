"""Rigidity: a layer's texture is neither stretched nor squeezed nor sheared in the frames."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.losses.context import Corners, LossContext

_FIRM = 1e-3
"""Added to the diagonal before the inverse is taken."""


def rigidity(ctx: LossContext) -> Float[Tensor, " batch"]:
    """How far the mapping is from an isometry over one pixel, summed over the layers.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    return unlike_isometry(ctx.near, ctx.px_per_uv).sum(0)


def unlike_isometry(corners: Corners, px_per_uv: Float[Tensor, " layer"]) -> Float[Tensor, "layer batch"]:
    """|JᵀJ| + |(JᵀJ + 0.001)⁻¹|, Frobenius norms, with J the mapping's Jacobian by differences, px per px.

    Returns:
        At least 2 sqrt(2), nearly, which isometries reach.
    """
    uv = corners.uv
    along = (uv[:, 1:] - uv[:, :1]) * (px_per_uv[:, None, None, None] / corners.step_px)
    squared = torch.einsum("lanc,lbnc->lnab", along, along)
    firm = squared + _FIRM * torch.eye(2, dtype=uv.dtype, device=uv.device)
    determinant = firm[..., 0, 0] * firm[..., 1, 1] - firm[..., 0, 1] ** 2
    # The inverse of a 2x2 matrix is its adjugate, which has its norm, over its determinant.
    return squared.flatten(2).norm(dim=-1) + firm.flatten(2).norm(dim=-1) / determinant
