"""Locked mattes: alpha that is given, in training and in the result, while all else is learnt."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.fields import Fields, Sample
from nvd_core.neural.footage import Footage


def with_locked(
    alpha: Float[Tensor, "layer batch"], given: Float[Tensor, "layer batch"], locked: tuple[bool, ...]
) -> Float[Tensor, "layer batch"]:
    """Alpha of locked layers as it is given; the others share what that leaves, as they would share everything.

    Args:
        alpha: learnt; sums to 1.
        given: visible alpha by the mattes; sums to 1.
        locked: which layers are; never all of them.
    """
    holds = torch.tensor(locked, device=alpha.device)[:, None]
    learnt = torch.where(holds, 0, alpha)
    left = (1 - torch.where(holds, given, 0).sum(0)).clamp(min=0)
    return torch.where(holds, given, learnt * (left / learnt.sum(0).clamp(min=1e-12)))


@final
class LockedFields:
    """Networks, but for the alpha of locked layers.

    Args:
        fields: the networks.
        footage: whose mattes are locked.
    """

    def __init__(self, fields: Fields, footage: Footage) -> None:
        self._fields, self._footage = fields, footage

    def uv(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch 2"]:
        """Where each layer's texture is seen."""
        return self._fields.uv(points)

    def alpha(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Visible share of each layer."""
        return self._held(self._fields.alpha(points), points)

    def residual(
        self, uv: Float[Tensor, "layer batch 2"], t_unit: Float[Tensor, " batch"]
    ) -> Float[Tensor, "layer batch 3"]:
        """Light on each layer's surface at a time."""
        return self._fields.residual(uv, t_unit)

    def sample(self, points: Float[Tensor, "batch 3"]) -> Sample:
        """Everything at once."""
        sample = self._fields.sample(points)
        return sample._replace(alpha=self._held(sample.alpha, points))

    def _held(self, alpha: Float[Tensor, "layer batch"], points: Float[Tensor, "batch 3"]) -> Tensor:
        return with_locked(alpha, self._footage.alpha_near(points), self._footage.locked)
