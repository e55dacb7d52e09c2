"""How a frame looks through a map: the layer's picture, warped and relit, against the plate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.clip.colour import display_from_linear, to_linear
from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.imaging import Positions, blur, difference, warp
from nvd_core.lattice.layer import LayerView

RELIGHT_SIGMA_PX: Final = 4.0
"""Light is matched over this radius before pictures are compared, so that it is not taken for motion."""

_WORST: Final = 40.0
"""Errors above this (of 255) say only "wrong"."""

Linear = Float32[np.ndarray, "height width 3"]


@final
@dataclass(frozen=True)
class Picture:
    """A flat picture of a layer, in pixels of its reference frame.

    Attributes:
        linear: colour in linear light.
        covered: 1 where the clip shows it, else 0.
        canvas: where it lies in the reference plane.
    """

    linear: Linear
    covered: Float32[np.ndarray, "height width"]
    canvas: Canvas


class Rendering(NamedTuple):
    """A part of a frame as the layer's picture explains it."""

    linear: Linear
    valid: Bool[np.ndarray, "height width"]


def light_ratio(frame: Linear, surface: Linear, valid: Bool[np.ndarray, "height width"], sigma_px: float) -> Linear:
    """Smooth light on a surface: local mean of the frame over local mean of the unlit surface.

    In linear light, over ``valid`` pixels only. Between 0.05 and 20.
    """
    weight = valid[..., None].astype(np.float32)
    return np.clip((blur(frame * weight, sigma_px) + 1e-4) / (blur(surface * weight, sigma_px) + 1e-4), 0.05, 20)


def render(
    picture: Picture,
    positions: Positions,
    frame: Linear,
    inside: Bool[np.ndarray, "height width"],
    sigma_px: float = RELIGHT_SIGMA_PX,
) -> Rendering:
    """Warp the picture to (a part of) a frame and light it as the frame is lit."""
    local = picture.canvas.texels(positions)
    valid = inside & (warp(picture.covered, local, outside=0) > 0.9)
    surface = warp(picture.linear, local, cubic=True)
    return Rendering(np.maximum(surface * light_ratio(frame, surface, valid, sigma_px), 0), valid)


def photo_error(layer: LayerView, t: int, where: tuple[slice, slice], positions: Positions, picture: Picture) -> float:
    """Mean difference, 0 to 40 of 255, between a frame and its rendering.

    Args:
        layer: whose frame it is.
        t: the frame.
        where: rows and columns to compare; a step of 2 compares every second pixel.
        positions: where those pixels lie in the reference frame, px.
        picture: what the layer looks like there.

    Returns:
        NaN where the picture covers less than a quarter of the layer.
    """
    step = where[0].step or 1
    frame, inside = layer.frames[t][where], layer.alpha[t][where] > 229
    rendering = render(picture, positions, to_linear(frame), inside, RELIGHT_SIGMA_PX / step)
    if np.count_nonzero(rendering.valid) < max(1, 0.25 * np.count_nonzero(inside)):
        return math.nan
    miss = difference(display_from_linear(rendering.linear) * 255, frame.astype(np.float32))
    smooth = blur(miss * rendering.valid, 3.0 / step) / (blur(rendering.valid.astype(np.float32), 3.0 / step) + 1e-3)
    return float(np.minimum(smooth, _WORST)[rendering.valid].mean())
