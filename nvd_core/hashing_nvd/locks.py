"""Locked mattes: fix the alpha of chosen layers to their masks, in training and in the result."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.fields import Fields, Sample
from nvd_core.hashing_nvd.footage import Footage


def with_locked(
    alpha: Float[Tensor, "layer batch"], given: Float[Tensor, "layer batch"], locked: tuple[bool, ...]
) -> Float[Tensor, "layer batch"]:
    """Replace the alpha of locked layers by their mattes; scale the other layers' alpha so that all sum to 1.

    Args:
        alpha: learnt; sums to 1.
        given: visible alpha by the mattes; sums to 1.
        locked: whether each layer is locked; never all of them.
    """
    holds = torch.tensor(locked, device=alpha.device)[:, None]
    learnt = torch.where(holds, 0, alpha)
    left = (1 - torch.where(holds, given, 0).sum(0)).clamp(min=0)
    return torch.where(holds, given, learnt * (left / learnt.sum(0).clamp(min=1e-12)))


@final
class LockedFields:
    """Networks with the alpha of locked layers replaced by their mattes.

    Args:
        fields: the networks.
        footage: the clip, with its mattes and which of them are locked.
    """

    def __init__(self, fields: Fields, footage: Footage) -> None:
        self._fields, self._footage = fields, footage

    def uv(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch 2"]:
        """Map points to each layer's texture coordinates, -1 to 1."""
        return self._fields.uv(points)

    def alpha(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Visible alpha of each layer; sums to 1."""
        return self._held(self._fields.alpha(points), points)

    def residual(
        self, uv: Float[Tensor, "layer batch 2"], t_unit: Float[Tensor, " batch"]
    ) -> Float[Tensor, "layer batch 3"]:
        """Multiplicative residual of each layer at texture coordinates and times, both -1 to 1."""
        return self._fields.residual(uv, t_unit)

    def sample(self, points: Float[Tensor, "batch 3"]) -> Sample:
        """Evaluate all networks at points, and lock alpha."""
        sample = self._fields.sample(points)
        return sample._replace(alpha=self._held(sample.alpha, points))

    def _held(self, alpha: Float[Tensor, "layer batch"], points: Float[Tensor, "batch 3"]) -> Tensor:
        return with_locked(alpha, self._footage.alpha_near(points), self._footage.locked)
