"""Losses of refinement: photometric error, bending energy of the map, and deviation from optical flow.

All are sums over a frame, in units of the trained lattice's cells, so that a weight means the same at any size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.refine.level import Patch
from nvd_core.refine.light import Colour, display_from_linear, light_ratio, linear_from_display

_ROBUST = 0.05
"""Scale of the robust photometric loss, colours from 0 to 1: larger errors count linearly, so that gloss and shadows
that move over the surface do not drag the map."""

_ROBUST_CELLS = 0.03
"""Scale of the robust flow loss, in cells: about 0.2 px of a frame 512 wide."""

_GRADIENT = 4.0
"""Weight of image gradients against colours: gradients locate features, whatever the light."""


def relit(surface: Colour, patch: Patch, sigma_px: float) -> Colour:
    """Relight an unlit surface with the smooth light of the plate, display-encoded."""
    linear = linear_from_display(surface)
    light = light_ratio(linear_from_display(patch.plate), linear.detach(), patch.weight, sigma_px)
    return display_from_linear(light * linear)


def photometric(drawn: Colour, patch: Patch, px_per_cell: float) -> Float[Tensor, ""]:
    """Robust error of colours and of forward differences against the plate, where it shows the layer alone.

    The two terms are the rgb and gradient losses of Chan et al., ICCV 2023, made robust; a whole frame yields its
    differences in one evaluation, where scattered points need three.
    """
    miss, weight = drawn - patch.plate, patch.weight
    across = (miss[:, :, 1:] - miss[:, :, :-1], weight[:, 1:] * weight[:, :-1])
    down = (miss[:, 1:] - miss[:, :-1], weight[1:] * weight[:-1])
    differences = sum((_robust(one, _ROBUST) * both).sum() for one, both in (across, down))
    return ((_robust(miss, _ROBUST) * weight).sum() + _GRADIENT * differences) / px_per_cell**2


def bending(moves: Float[Tensor, "2 row column"]) -> Float[Tensor, ""]:
    """Thin-plate energy of the trained displacements; affine ones cost nothing."""
    across = moves[:, :, 2:] - 2 * moves[:, :, 1:-1] + moves[:, :, :-2]
    down = moves[:, 2:] - 2 * moves[:, 1:-1] + moves[:, :-2]
    both = moves[:, 1:, 1:] - moves[:, 1:, :-1] - moves[:, :-1, 1:] + moves[:, :-1, :-1]
    return across.square().sum() + down.square().sum() + 2 * both.square().sum()


class Way(NamedTuple):
    """Optical flow from a frame to the next, at points that lie in the layer in both.

    Attributes:
        here_px: positions in the frame, working px.
        there_px: end points of the flow in the next frame.
        missed_px: distance of both ends in the reference frame by the maps before training, (x, y), working px.
    """

    here_px: Float[Tensor, "point 2"]
    there_px: Float[Tensor, "point 2"]
    missed_px: Float[Tensor, "point 2"]


def steadiness(missed_px: Float[Tensor, "point 2"], cell_px: float) -> Float[Tensor, ""]:
    """Robust disagreement of map and optical flow (the published flow loss, made robust)."""
    return _robust(missed_px.T / cell_px, _ROBUST_CELLS).sum()


def _robust(miss: Float[Tensor, "..."], scale: float) -> Float[Tensor, "..."]:
    """Charbonnier penalty of vectors along the first axis: quadratic below the scale, linear above."""
    return torch.sqrt(miss.square().sum(0) + scale**2) - scale
