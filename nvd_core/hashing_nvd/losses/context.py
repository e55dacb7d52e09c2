"""Inputs of the losses: a batch and the networks' outputs on it, each evaluated once and on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nvd_core.hashing_nvd.fields import Fields, Sample
from nvd_core.hashing_nvd.footage import Batch, Footage, Matches

_HERE_RIGHT_BELOW = ((0, 0, 0), (1, 0, 0), (0, 1, 0))
"""Offsets (x, y, t) of a pixel and of its right and lower neighbours, for forward differences."""

_FAR_SHARE = 100 / 768
"""Step of global rigidity's differences, as a share of the frame's longer side: published as 100 px of 768."""


class Corners(NamedTuple):
    """Mapping at pixels and at their neighbours to the right and below, for forward differences.

    Attributes:
        uv: at the pixel, to the right, below.
        step_px: distance of those neighbours, working px.
    """

    uv: Float[Tensor, "layer 3 batch 2"]
    step_px: int


@final
@dataclass(frozen=True)
class LossContext:
    """Batch and model; outputs that several losses need are evaluated once.

    Attributes:
        fields: the networks.
        footage: the clip.
        batch: pixels of this step.
        scales: for each layer the part of uv's [-1, 1] that a frame filled in the initial layout.
    """

    fields: Fields
    footage: Footage
    batch: Batch
    scales: Float[Tensor, " layer"]

    @cached_property
    def _moved(self) -> Int[Tensor, "3 batch 3"]:
        moves = torch.tensor(_HERE_RIGHT_BELOW, device=self.batch.pixels.device)
        return self.batch.pixels + moves[:, None]

    @cached_property
    def around(self) -> Sample:
        """Networks at every pixel, to its right, and below it: shapes are (layer, 3, batch, ...)."""
        shape = self._moved.shape[:2]
        sample = self.fields.sample(self.footage.unit(self._moved).flatten(0, 1))
        return Sample(*(part.unflatten(1, shape) for part in sample))

    @cached_property
    def here(self) -> Sample:
        """Networks at every pixel."""
        return Sample(*(part[:, 0] for part in self.around))

    @cached_property
    def colours(self) -> Float[Tensor, "3 batch 3"]:
        """Colours of the clip at every pixel, to its right, and below it, display-encoded, 0 to 1."""
        return self.footage.colours(self._moved)

    @cached_property
    def rebuilt(self) -> Float[Tensor, "3 batch 3"]:
        """Colours of the reconstruction at the same pixels."""
        return self.around.rebuilt()

    @cached_property
    def coarse_alpha(self) -> Float[Tensor, "layer batch"]:
        """Alpha of the masks at every pixel, 0 to 1."""
        return self.footage.coarse_alpha(self.batch.pixels)

    @property
    def near(self) -> Corners:
        """Mapping at every pixel and one pixel away, for rigidity."""
        return Corners(self.around.uv, 1)

    @cached_property
    def far(self) -> Corners:
        """Mapping at every pixel and far away, perhaps outside the frame, for global rigidity."""
        step_px = max(1, round(_FAR_SHARE * self.footage.side_px))
        moves = torch.tensor(_HERE_RIGHT_BELOW[1:], device=self.batch.pixels.device)
        points = self.footage.unit(self.batch.pixels + step_px * moves[:, None])
        uv = self.fields.uv(points.flatten(0, 1)).unflatten(1, points.shape[:2])
        return Corners(torch.cat([self.around.uv[:, :1], uv], 1), step_px)

    @cached_property
    def matches(self) -> Matches:
        """Matches of the pixels by optical flow."""
        return self.footage.matches(self.batch.pixels)

    @cached_property
    def matched_alpha(self) -> Float[Tensor, "layer match"]:
        """Visible alpha at the matches' end points."""
        return self.fields.alpha(self.footage.unit(self.matches.points_px))

    @cached_property
    def matched_uv(self) -> Float[Tensor, "layer match 2"]:
        """Mapping at the matches' end points."""
        return self.fields.uv(self.footage.unit(self.matches.points_px))

    @cached_property
    def px_per_uv(self) -> Float[Tensor, " layer"]:
        """Working px per unit of uv in the initial layout of each layer."""
        return self.footage.side_px / (2 * self.scales)

    def over_matches(self, values: Float[Tensor, " match"]) -> Float[Tensor, " batch"]:
        """Sum values of matches onto their pixels, weighted so that the batch's mean is the mean over the matches."""
        return values.new_zeros(len(self.batch.pixels)).index_add(0, self.matches.sample, self.matches.weight * values)
