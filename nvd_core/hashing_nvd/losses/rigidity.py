"""Rigidity: keep the mapping close to an isometry, without stretch or shear."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import Corners, LossContext

_FIRM = 1e-3
"""Added to the diagonal before inversion, so that the inverse of a collapsed mapping stays finite."""


def rigidity(ctx: LossContext) -> Float[Tensor, " batch"]:
    """Deviation of the mapping from an isometry over one pixel, summed over the layers.

    Source: Chan et al., ICCV 2023, after Kasten et al., 2021, section 3.2.
    """
    return unlike_isometry(ctx.near, ctx.px_per_uv).sum(0)


def unlike_isometry(corners: Corners, px_per_uv: Float[Tensor, " layer"]) -> Float[Tensor, "layer batch"]:
    """|JᵀJ| + |(JᵀJ + 0.001)⁻¹|, Frobenius norms, with J the mapping's Jacobian by differences, px per px.

    Returns:
        About 2 sqrt(2) for an isometry, and more for any other mapping.
    """
    uv = corners.uv
    along = (uv[:, 1:] - uv[:, :1]) * (px_per_uv[:, None, None, None] / corners.step_px)
    squared = torch.einsum("lanc,lbnc->lnab", along, along)
    firm = squared + _FIRM * torch.eye(2, dtype=uv.dtype, device=uv.device)
    determinant = firm[..., 0, 0] * firm[..., 1, 1] - firm[..., 0, 1] ** 2
    # The inverse of a 2x2 matrix is its adjugate, which has its norm, over its determinant.
    return squared.flatten(2).norm(dim=-1) + firm.flatten(2).norm(dim=-1) / determinant
