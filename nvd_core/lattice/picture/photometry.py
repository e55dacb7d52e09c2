"""Render a layer's picture in a frame, warped and relit, and measure its photometric error against the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.image.colour import display_from_linear, to_linear
from nvd_core.image.filters import blur, difference
from nvd_core.image.geometry import Positions
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import ALONE, LayerView
from nvd_core.lattice.picture.canvas import Canvas

RELIGHT_SIGMA_PX: Final = 4.0
"""Sigma over which light is matched before pictures are compared, so that it is not taken for motion."""

_WORST: Final = 40.0
"""Largest error of a pixel, of 255: larger ones are clipped, as they say only "wrong"."""

Linear = Float32[np.ndarray, "height width 3"]


@final
@dataclass(frozen=True)
class Picture:
    """Mean picture of a layer on the reference plane.

    Attributes:
        linear: colour in linear light.
        covered: 1 where a frame shows the layer, else 0.
        canvas: rectangle of the reference plane that it covers.
    """

    linear: Linear
    covered: Float32[np.ndarray, "height width"]
    canvas: Canvas

    def shows(self, texels: Positions) -> Bool[np.ndarray, "height width"]:
        """Whether some frame shows the layer at each texel position."""
        return warp(self.covered, texels, outside=0) > 0.9


class Rendering(NamedTuple):
    """The layer's picture warped to a part of a frame and relit, and where it is valid."""

    linear: Linear
    valid: Bool[np.ndarray, "height width"]


def light_ratio(frame: Linear, surface: Linear, valid: Bool[np.ndarray, "height width"], sigma_px: float) -> Linear:
    """Ratio of the frame's local mean to the surface's, over ``valid`` pixels only, clipped to 0.05 to 20."""
    weight = valid[..., None].astype(np.float32)
    ratio, below = blur(frame * weight, sigma_px), blur(surface * weight, sigma_px)
    ratio += 1e-4  # in place throughout: frames may be large
    below += 1e-4
    ratio /= below
    return np.clip(ratio, 0.05, 20, out=ratio)


def render(
    picture: Picture,
    positions: Positions,
    frame: Linear,
    inside: Bool[np.ndarray, "height width"],
    sigma_px: float = RELIGHT_SIGMA_PX,
) -> Rendering:
    """Warp the picture to (a part of) a frame and relight it by the frame's local mean."""
    local = picture.canvas.texels(positions)
    valid = inside & picture.shows(local)
    surface = warp(picture.linear, local, cubic=True)
    return Rendering(np.maximum(surface * light_ratio(frame, surface, valid, sigma_px), 0), valid)


def photo_error(layer: LayerView, t: int, where: tuple[slice, slice], positions: Positions, picture: Picture) -> float:
    """Photometric error: mean smoothed difference, 0 to 40 of 255, between a frame and its rendering.

    Args:
        layer: the layer.
        t: the frame.
        where: rows and columns to compare; a step of 2 compares every second pixel.
        positions: of those pixels in the reference plane, px.
        picture: the layer's picture.

    Returns:
        NaN where the picture covers less than a quarter of the layer.
    """
    scale = layer.scale / (where[0].step or 1)
    frame, inside = layer.frames[t][where], layer.alpha[t][where] > ALONE
    rendering = render(picture, positions, to_linear(frame), inside, RELIGHT_SIGMA_PX * scale)
    if np.count_nonzero(rendering.valid) < max(1, 0.25 * np.count_nonzero(inside)):
        return math.nan
    miss = difference(display_from_linear(rendering.linear) * 255, frame.astype(np.float32))
    smooth = blur(miss * rendering.valid, 3.0 * scale) / (blur(rendering.valid.astype(np.float32), 3.0 * scale) + 1e-3)
    return float(np.minimum(smooth, _WORST)[rendering.valid].mean())
