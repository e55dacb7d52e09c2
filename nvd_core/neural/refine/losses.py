"""What refining descends: the picture fits the plate, the map bends little, and points go where flow goes.

All are sums over a frame for each cell between trained nodes, so that a weight means the same at any size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.neural.refine.level import Patch
from nvd_core.neural.refine.light import Colour, display_from_linear, light_ratio, linear_from_display

_ROBUST = 0.05
"""A colour that is off by more, of 1, counts by its distance and not by its square: light that is not on the
surface (gloss, what passes over it) must not drag the map."""

_ROBUST_CELLS = 0.03
"""Likewise for flow, in cells: about 0.2 px of a frame 512 wide."""

_GRADIENT = 4.0
"""Weight of image gradients against colours: they say where things are, whatever the light."""


def relit(surface: Colour, patch: Patch, sigma_px: float) -> Colour:
    """A surface lit as the plate is, display-encoded."""
    linear = linear_from_display(surface)
    light = light_ratio(linear_from_display(patch.plate), linear.detach(), patch.weight, sigma_px)
    return display_from_linear(light * linear)


def photometric(drawn: Colour, patch: Patch, px_per_cell: float) -> Float[Tensor, ""]:
    """Distance of colours, and of forward differences, from the plate's, where the layer is alone.

    The two terms are the rgb and gradient losses of Chan et al., ICCV 2023, made robust; one evaluation of a
    whole frame gives the differences, which scattered points need three for.
    """
    miss, weight = drawn - patch.plate, patch.weight
    across = (miss[:, :, 1:] - miss[:, :, :-1], weight[:, 1:] * weight[:, :-1])
    down = (miss[:, 1:] - miss[:, :-1], weight[1:] * weight[:-1])
    differences = sum((_robust(one, _ROBUST) * both).sum() for one, both in (across, down))
    return ((_robust(miss, _ROBUST) * weight).sum() + _GRADIENT * differences) / px_per_cell**2


def bending(moves: Float[Tensor, "2 row column"]) -> Float[Tensor, ""]:
    """Thin-plate energy of what training has moved; whatever is straight is free."""
    across = moves[:, :, 2:] - 2 * moves[:, :, 1:-1] + moves[:, :, :-2]
    down = moves[:, 2:] - 2 * moves[:, 1:-1] + moves[:, :-2]
    both = moves[:, 1:, 1:] - moves[:, 1:, :-1] - moves[:, :-1, 1:] + moves[:, :-1, :-1]
    return across.square().sum() + down.square().sum() + 2 * both.square().sum()


class Way(NamedTuple):
    """Optical flow from a frame to the next, at points of a layer that are in both.

    Attributes:
        here_px: working px.
        there_px: where flow leads.
        missed_px: the distance, in the reference frame, of what the map had at both ends before training.
    """

    here_px: Float[Tensor, "point 2"]
    there_px: Float[Tensor, "point 2"]
    missed_px: Float[Tensor, "point 2"]


def steadiness(missed_px: Float[Tensor, "point 2"], cell_px: float) -> Float[Tensor, ""]:
    """How far the map and optical flow disagree on where points go (the published flow loss, made robust)."""
    return _robust(missed_px.T / cell_px, _ROBUST_CELLS).sum()


def _robust(miss: Float[Tensor, "..."], scale: float) -> Float[Tensor, "..."]:
    """For each place, over the first axis, the length of a vector; squared where it is small (Charbonnier)."""
    return torch.sqrt(miss.square().sum(0) + scale**2) - scale
