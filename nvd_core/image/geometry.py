"""Positions, boxes and homographies, in px: pixel ``i`` has its centre at ``i``, x goes right and y down."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Shaped

from nvd_core.spec.conventions import Size, rescale_px

Positions = Float32[np.ndarray, "height width 2"]
"""A position (x, y) for every pixel, px."""

Points = Float32[np.ndarray, "*point 2"]
"""Points (x, y), px, in any arrangement."""

Homography = Float[np.ndarray, "3 3"]
"""Acts on columns (x, y, 1)."""


class Box(NamedTuple):
    """A rectangle, px; right and bottom are excluded."""

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        return f"from x {self.left} to {self.right}, y {self.top} to {self.bottom}"

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, in an array, of the pixels in the rectangle, also in part."""
        rows, columns = ((math.floor(start), math.ceil(end)) for start, end in (self[1::2], self[::2]))
        return slice(*rows), slice(*columns)

    @property
    def size(self) -> Size:
        """Width and height of those pixels."""
        rows, columns = self.slices
        return Size(columns.stop - columns.start, rows.stop - rows.start)

    @property
    def side(self) -> float:
        """Length of the longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def corners(self) -> Float32[np.ndarray, "4 2"]:
        """Corners (x, y)."""
        return np.array([(x, y) for x in (self.left, self.right) for y in (self.top, self.bottom)], np.float32)

    def grown(self, margin: float) -> Box:
        """Extend by a margin on every side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def within(self, other: Box) -> Box:
        """Intersect with another rectangle; without width or height where they are apart."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))

    def seen_from(self, other: Box) -> Box:
        """The same rectangle, counted from another's upper left corner."""
        return Box(self.left - other.left, self.top - other.top, self.right - other.left, self.bottom - other.top)

    def pixels_within(self, size: Size, margin: float = 0, least: int = 1) -> Box:
        """Pixels of a picture of ``size`` in the rectangle, grown by a margin and to at least ``least`` px a side."""
        left, right = _stretch(self.left - margin, self.right + margin, least, size.width)
        top, bottom = _stretch(self.top - margin, self.bottom + margin, least, size.height)
        return Box(left, top, right, bottom)


def _stretch(start: float, end: float, least: int, limit: int) -> tuple[int, int]:
    """Widen an interval to ``least``, shift it between 0 and ``limit``, and round it outwards."""
    lack = max(0.0, least - (end - start)) / 2
    start, end = start - lack, end + lack
    shift = max(0.0, -start) - max(0.0, end - limit)
    return max(0, math.floor(start + shift)), min(limit, math.ceil(end + shift))


def bounding_box(mask: Bool[np.ndarray, "height width"]) -> Box | None:
    """Bounding box of the pixels that are set; None if none is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(columns) else None


def size_of(picture: Shaped[np.ndarray, "height width *chan"]) -> Size:
    """Width and height of a picture."""
    return Size(picture.shape[1], picture.shape[0])


def pixel_grid(size: Size) -> Positions:
    """Position (x, y) of every pixel of a picture, px."""
    x, y = np.meshgrid(np.arange(size.width, dtype=np.float32), np.arange(size.height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def pixel_axes(
    size: Size, whole: Size, dtype: type[np.floating] = np.float64
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " height"]]:
    """Positions x of the columns and y of the rows of a picture, px of the same picture at the size ``whole``."""
    x, y = (np.arange(count, dtype=dtype) for count in size)
    return rescale_px(x, size.width, whole.width), rescale_px(y, size.height, whole.height)


def rescaled(
    positions: Float32[np.ndarray, "*point 2"],
    source: tuple[float, float],
    target: tuple[float, float],
    origin_px: tuple[float, float] = (0.0, 0.0),
) -> tuple[Float32[np.ndarray, "*point"], Float32[np.ndarray, "*point"]]:
    """Convert positions (x, y), px, in a picture to those in it cropped at its px ``origin_px`` and then resized.

    Args:
        positions: in the picture.
        source: width and height of the crop, px.
        target: width and height that it is resized to, px.
        origin_px: of the crop, (x, y).

    Returns:
        x and y apart: NumPy takes many times as long over a last axis of two.
    """
    x, y = (
        rescale_px(positions[..., axis] - np.float32(origin_px[axis]), source[axis], target[axis]) for axis in (0, 1)
    )
    return x, y


def is_inside(positions: Float[np.ndarray, "*point 2"], size: Size) -> Bool[np.ndarray, "*point"]:
    """Whether each position lies between the centres of a picture's outermost pixels; NaN does not."""
    x, y = positions[..., 0], positions[..., 1]
    return np.asarray((x >= 0) & (y >= 0) & (x <= size.width - 1) & (y <= size.height - 1))


def is_on(mask: Bool[np.ndarray, "height width"], points: Float[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
    """Whether the pixel nearest to each point is set in a mask; none is beyond its border, and none at NaN."""
    height, width = mask.shape
    column, row = np.rint(np.clip(np.nan_to_num(points, nan=-9), -9, 9 + max(mask.shape))).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    return inside & mask[np.where(inside, row, 0), np.where(inside, column, 0)]


def transform(matrix: Homography, points: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point 2"]:
    """Apply a homography to points (x, y), in 64 bits; not finite on the horizon."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return (moved[..., :2] / moved[..., 2:]).astype(points.dtype)


def translation(offset: Shaped[np.ndarray, " 2"]) -> Homography:
    """Homography of a translation by (x, y)."""
    return np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1]], dtype=np.float64)


def zoomed(homography: Homography, zoom: float) -> Homography:
    """Homography between pictures ``zoom`` times as large, about the centre of pixel 0."""
    scale = np.diag([zoom, zoom, 1.0])
    return scale @ homography @ np.linalg.inv(scale)
