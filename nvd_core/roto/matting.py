"""Refine a mask to a matte at the plate's size: soft where the plate is, at hair and motion blur."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.image.filters import guided_filter
from nvd_core.image.geometry import pixel_grid, size_of
from nvd_core.roto.window import Cutout

_REACH: Final = 3.0
"""Distance from the outline within which alpha follows the plate, in the mask's own steps."""

_Plane = Float32[np.ndarray, "height width"]


def matte_of(cutout: Cutout, plate: Float32[np.ndarray, "height width 3"], scale: float) -> _Plane:
    """Refine the mask of an object in a frame to its alpha at the plate's size, 0 to 1.

    Near the outline it follows the plate's edges, by a guided filter; everywhere else it is the mask.

    Args:
        cutout: the mask, at working size.
        plate: display-encoded.
        scale: plate px per working px.
    """
    height, width = plate.shape[:2]
    alpha = np.zeros((height, width), np.float32)
    bounds = cutout.bounds
    if bounds is None:
        return alpha
    reach = max(2, round(_REACH * cutout.window.zoom * scale))
    left, top, right, bottom = (side * scale for side in bounds.grown(3 * reach / scale))
    rows, columns = (
        slice(max(0, int(top)), max(0, min(height, int(bottom) + 1))),
        slice(max(0, int(left)), max(0, min(width, int(right) + 1))),
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return alpha  # the object has left the frame
    near = plate[rows, columns]
    places = (pixel_grid(size_of(near)) + np.array([columns.start, rows.start], np.float32) + 0.5) / np.float32(
        scale
    ) - 0.5
    rough = cutout.at(np.ascontiguousarray(places))
    edge = cv2.morphologyEx((rough > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    band = cv2.dilate(edge, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)) > 0
    fine = np.clip(1.4 * guided_filter(rough, near, reach) - 0.2, 0, 1)  # the filter never quite reaches 0 and 1
    alpha[rows, columns] = np.where(band, fine, rough > 0.5)
    return alpha
