"""What a loss can look at: one batch, and what the networks say of it, evaluated once and on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nvd_core.neural.fields import Fields, Sample
from nvd_core.neural.footage import Batch, Footage, Matches

_HERE_RIGHT_BELOW = ((0, 0, 0), (1, 0, 0), (0, 1, 0))
"""Moves (x, y, t) to a pixel and its two neighbours, which forward differences compare."""

_FAR_SHARE = 100 / 768
"""Step of far differences, of the frame's longer side: published as 100 px of frames 768 wide."""


class Corners(NamedTuple):
    """The mapping at samples, to their right and below, and how far that is.

    Attributes:
        uv: here, right, below.
        step_px: distance to the right, and below.
    """

    uv: Float[Tensor, "layer 3 batch 2"]
    step_px: int


@final
@dataclass(frozen=True)
class LossContext:
    """A batch and a model; what several losses need is evaluated once.

    Attributes:
        fields: the networks.
        footage: the clip.
        batch: pixels to look at.
        scales: for each layer the part of uv's [-1, 1] that a frame fills.
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
        """At every pixel, to its right, and below it: shapes are (layer, 3, batch, ...)."""
        shape = self._moved.shape[:2]
        sample = self.fields.sample(self.footage.unit(self._moved).flatten(0, 1))
        return Sample(*(part.unflatten(1, shape) for part in sample))

    @cached_property
    def here(self) -> Sample:
        """At every pixel."""
        return Sample(*(part[:, 0] for part in self.around))

    @cached_property
    def colours(self) -> Float[Tensor, "3 batch 3"]:
        """The clip's, at every pixel, to its right, and below it."""
        return self.footage.colours(self._moved)

    @cached_property
    def rebuilt(self) -> Float[Tensor, "3 batch 3"]:
        """The networks' colours at the same places."""
        return self.around.rebuilt()

    @cached_property
    def coarse_alpha(self) -> Float[Tensor, "layer batch"]:
        """The given masks at every pixel."""
        return self.footage.coarse_alpha(self.batch.pixels)

    @property
    def near(self) -> Corners:
        """The mapping, and one pixel away."""
        return Corners(self.around.uv, 1)

    @cached_property
    def far(self) -> Corners:
        """The mapping, and far away, where it need not be in the frame."""
        step_px = max(1, round(_FAR_SHARE * self.footage.side_px))
        moves = torch.tensor(_HERE_RIGHT_BELOW[1:], device=self.batch.pixels.device)
        points = self.footage.unit(self.batch.pixels + step_px * moves[:, None])
        uv = self.fields.uv(points.flatten(0, 1)).unflatten(1, points.shape[:2])
        return Corners(torch.cat([self.around.uv[:, :1], uv], 1), step_px)

    @cached_property
    def matches(self) -> Matches:
        """Optical flow at the pixels."""
        return self.footage.matches(self.batch.pixels)

    @cached_property
    def matched_alpha(self) -> Float[Tensor, "layer match"]:
        """Alpha where the matches lead."""
        return self.fields.alpha(self.footage.unit(self.matches.points_px))

    @cached_property
    def matched_uv(self) -> Float[Tensor, "layer match 2"]:
        """The mapping where the matches lead."""
        return self.fields.uv(self.footage.unit(self.matches.points_px))

    @cached_property
    def px_per_uv(self) -> Float[Tensor, " layer"]:
        """Pixels in a unit of uv, while a layer lies as it was laid out at first."""
        return self.footage.side_px / (2 * self.scales)

    def over_matches(self, values: Float[Tensor, " match"]) -> Float[Tensor, " batch"]:
        """Values of matches as values of samples; the mean over the batch is that over the matches."""
        return values.new_zeros(len(self.batch.pixels)).index_add(0, self.matches.sample, self.matches.weight * values)
