"""Convert positions between an atlas and the shot: where a point of the picture of a frame lies on a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32

from nvd_core.image.geometry import Box, Points, bounding_box, size_of
from nvd_core.image.sample import at_points
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.edits import Corners

Coverage = Float32[np.ndarray, "height width"]
"""Where the clip shows a layer's atlas: 1 there, else 0."""

_INSIDE: Final = 0.6
"""Width of a new insert, as a part of where its layer is seen on the atlas."""


def corners_on_atlas(points_px: Sequence[tuple[float, float]], atlas: Size) -> Corners:
    """Corners in uv_atlas of points on an atlas, px from its upper left corner, as image editors count."""
    return tuple((x / atlas.width, 1 - y / atlas.height) for x, y in points_px)


def corners_on_shot(
    decomposition: Decomposition, layer: str, frame: int, points_px: Sequence[tuple[float, float]]
) -> Corners:
    """Corners in uv_atlas of points on a frame, px from its upper left corner; linear beyond its border.

    Raises:
        InputError: there is no such frame, or one of its files cannot be used.
    """
    uv_atlas = decomposition.one_frame(frame).layers[layer].uv_atlas
    at = np.array(points_px, np.float32) - np.float32(0.5)
    found = _extended(uv_atlas, at)
    return tuple((float(u), float(v)) for u, v in found)


def corners_in_middle(covered: Coverage, picture: Size) -> Corners:
    """Corners in uv_atlas of a picture in the middle of where the clip shows a layer, in its own aspect.

    Args:
        covered: the layer's atlas coverage.
        picture: size of the picture.
    """
    box = bounding_box(np.asarray(covered > 0.5)) or Box(0, 0, *size_of(covered))  # no frame shows it
    atlas, (width, height) = size_of(covered), box.size
    scale = _INSIDE * min(width / picture.width, height / picture.height)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    right, down = scale * picture.width / 2, scale * picture.height / 2
    box_px = [(x - right, y - down), (x + right, y - down), (x + right, y + down), (x - right, y + down)]
    return corners_on_atlas(box_px, atlas)


def _extended(uv_atlas: np.ndarray, points: Points) -> Points:
    """Sample a UV pass at points, px; beyond the border it continues as at the border."""
    size = size_of(uv_atlas)
    most = np.array([size.width - 1, size.height - 1], np.float32)
    nearest = np.clip(points, 0, most)
    inner = np.clip(nearest, 1, most - 1)  # a step beside it for the slope
    value = at_points(uv_atlas, nearest)
    for axis in (0, 1):
        step = np.zeros(2, np.float32)
        step[axis] = 1
        slope = (at_points(uv_atlas, inner + step) - at_points(uv_atlas, inner - step)) / 2
        value = value + slope * (points - nearest)[:, axis : axis + 1]
    return value
