"""Step 8, light: estimate the residual, the smooth factor of light on a layer's surface in each frame.

If the error of the map is known, the residual may be finer: detail of the plate that the surface's own edges, shifted
by that error, could not have caused is light, and not misplaced texture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.image.filters import blur, fill_holes
from nvd_core.lattice.picture.photometry import Linear, light_ratio
from nvd_core.spec.settings import Residual

_SIGMA_PX: Final[dict[Residual, float]] = {"editing": 2.0, "fidelity": 1.0}
"""Gaussian sigma of the residual, px of plates up to 540 lines. Measured on edits with known truth: 2 px
in linear light is best; 8 px loses 1 to 2 dB, and a residual stored in the atlas as much again."""

_ALONE: Final = 0.95
"""Alpha above which a pixel shows the layer alone, and is measured."""

_LEAST_OFF_PX: Final = 0.3
"""Smallest error that a map is credited with. Measured on edits with known truth: 0.2 px costs them up to 0.07 dB by
texture in the light, 0.3 px up to 0.05 dB on one clip and nothing on two."""

Share = Float32[np.ndarray, "height width"]


class Detail(NamedTuple):
    """Detail of the plate beyond the smooth residual, and how much of it a map's error could cause.

    Attributes:
        stops: natural logarithm of finer residual over smoother residual.
        power: local mean square of that, averaged over the channels first.
        shifted: the same of a surface shifted by a pixel against itself, along x plus along y.
    """

    stops: Linear
    power: Share
    shifted: Share


def estimate_residual(
    plate: Linear, surface: Linear, alpha: Share, residual: Residual, off_px: float | None = None
) -> Linear:
    """Estimate the residual: local mean of the plate over local mean of the atlas warped to the frame.

    Args:
        plate: linear light.
        surface: the atlas sampled at the UV pass, linear light.
        alpha: visible share of the layer; only pixels that show it alone are measured.
        residual: ``editing`` for light alone, ``fidelity`` to follow the plate more closely.
        off_px: error of the map, px of the plate; None if unknown.

    Returns:
        Positive factors of linear light, filled smoothly where the layer is not seen.
    """
    sigma_px = _sigma_px(residual, plate.shape[0])
    alone = alpha > _ALONE
    ratio = light_ratio(plate, surface, alone, sigma_px)
    if off_px is not None:
        detail = _detail(plate, surface, alone, sigma_px, ratio)
        texture = detail.shifted * off_px**2 / 2  # an error of this length in any direction
        share = np.clip(1 - texture / (detail.power + 1e-7), 0, 1) * alone
        share = blur(share.astype(np.float32), 1.0) / (blur(alone.astype(np.float32), 1.0) + 1e-3)
        ratio = ratio * np.exp(share[..., None] * detail.stops)
    measured = blur(alone.astype(np.float32), sigma_px) > 0.05
    return fill_holes(ratio, measured.astype(np.float32)) if measured.any() else np.ones_like(ratio)


def possible_error_px(frames: Iterable[tuple[Linear, Linear, Share]]) -> float:
    """Estimate the error of a map, px, from the extra detail in the residual where the surface has edges.

    Args:
        frames: plate, surface and alpha of some frames, as :func:`estimate_residual` takes them.
    """
    power, shifted = [], []
    for plate, surface, alpha in frames:
        alone = alpha > _ALONE
        sigma_px = _sigma_px("editing", plate.shape[0])
        detail = _detail(plate, surface, alone, sigma_px, light_ratio(plate, surface, alone, sigma_px))
        inside = cv2.erode(alone.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        power.append(detail.power[inside])
        shifted.append(detail.shifted[inside])
    powers, edges = np.concatenate([*power, np.zeros(1)]), np.concatenate([*shifted, np.zeros(1)])
    flat, steep = edges <= np.median(edges), edges >= np.percentile(edges, 90)
    rise = float(edges[steep].mean() - edges[flat].mean())
    squared = 2 * float(powers[steep].mean() - powers[flat].mean()) / max(rise, 1e-9)
    return max(_LEAST_OFF_PX, max(squared, 0) ** 0.5)


def _sigma_px(residual: Residual, lines: int) -> float:
    return _SIGMA_PX[residual] * max(1.0, lines / 540)


def _detail(
    plate: Linear, surface: Linear, alone: Bool[np.ndarray, "height width"], sigma_px: float, smooth: Linear
) -> Detail:
    """Compare the residual at half the sigma with that at the whole."""

    def finer(picture: Linear, smoother: Linear) -> Linear:
        return np.log(light_ratio(picture, surface, alone, sigma_px / 2) / smoother)

    weight, shifted = alone.astype(np.float32), np.zeros(alone.shape, np.float32)
    for axis in (0, 1):
        moved = np.take(surface, np.maximum(np.arange(surface.shape[axis]) - 1, 0), axis)
        shifted += finer(moved, light_ratio(moved, surface, alone, sigma_px)).mean(axis=-1) ** 2
    stops = finer(plate, smooth)
    power = stops.mean(axis=-1) ** 2
    return Detail(stops, blur(power * weight, sigma_px), blur(shifted * weight, sigma_px))
