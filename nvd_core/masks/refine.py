"""An outline at the plate's own size: soft where the plate is, at hair and motion blur."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.masks.camera import pixel_grid
from nvd_core.masks.window import Cutout

_EPSILON: Final = 1e-4
"""Variance of colour below which a neighbourhood counts as flat."""

_REACH: Final = 3.0
"""How far from the outline alpha follows the plate, in the mask's own steps."""

_Plane = Float32[np.ndarray, "height width"]


def matte_of(cutout: Cutout, plate: Float32[np.ndarray, "height width 3"], scale: float) -> _Plane:
    """Alpha of an object in a frame, at the plate's size, 0 to 1.

    Within reach of the outline it follows the plate's edges (guided filter, He, Sun and Tang, ECCV 2010);
    everywhere else it is the mask.

    Args:
        cutout: the mask, at working size.
        plate: display-encoded.
        scale: plate px a working px.
    """
    height, width = plate.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    bounds = cutout.bounds
    if bounds is None:
        return alpha
    reach = max(2, round(_REACH * cutout.window.zoom * scale))
    left, top, right, bottom = (side * scale for side in bounds.grown(3 * reach / scale))
    rows, columns = (
        slice(max(0, int(top)), min(height, int(bottom) + 1)),
        slice(max(0, int(left)), min(width, int(right) + 1)),
    )
    near = plate[rows, columns]
    places = (pixel_grid(near.shape) + np.array([columns.start, rows.start], np.float32) + 0.5) / np.float32(
        scale
    ) - 0.5
    rough = cutout.at(np.ascontiguousarray(places))
    edge = cv2.morphologyEx((rough > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    band = cv2.dilate(edge, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)) > 0
    fine = np.clip(1.4 * guided(rough, near, reach) - 0.2, 0, 1)  # the filter never quite reaches 0 and 1
    alpha[rows, columns] = np.where(band, fine, rough > 0.5)
    return alpha


def guided(mask: _Plane, guide: Float32[np.ndarray, "height width 3"], radius: int) -> _Plane:
    """The mask as, in every neighbourhood, the linear function of colour that is nearest to it."""

    def mean(values: Float32[np.ndarray, "height width *chan"]) -> Float32[np.ndarray, "height width *chan"]:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_mask = mean(guide), mean(mask)
    together = mean(guide * mask[..., None]) - mean_guide * mean_mask[..., None]
    pairs = mean((guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9)[..., [0, 1, 2, 4, 5, 8]])
    spread = pairs[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(*mask.shape, 3, 3)
    spread = spread - mean_guide[..., :, None] * mean_guide[..., None, :] + _EPSILON * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, together[..., None])[..., 0].astype(np.float32)
    offset = mean_mask - (slope * mean_guide).sum(axis=-1)
    return (mean(slope) * guide).sum(axis=-1) + mean(offset)
