"""Flat pictures of a layer: where they lie, and how frames are averaged into them.

Frames are pulled into the picture through the turned-around map and resampled with a cubic filter, so
that no texel between the frames' pixels stays empty and no moiré appears, whatever the zoom.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from nvd_core.conventions import Size
from nvd_core.lattice.imaging import difference, fill_holes, warp
from nvd_core.lattice.inverse import InverseMap
from nvd_core.lattice.layer import Box
from nvd_core.parallel import WORKERS
from nvd_core.resample import bands

_CORE, _EDGE, _MATTE = 1.0, 1e-2, 1e-4
"""Trust in a pixel: well inside the layer, at its edge, on its matte's soft rim."""

_ROBUST: Final = 0.1
"""A frame that differs from the picture by this (of 1) counts half there."""

_COVERED: Final = 1e-5
"""Trust above which a texel counts as seen."""

_BAND_TEXELS: Final = 1 << 20
"""Frames are averaged in bands of rows of about this many texels, which bounds memory."""

Display = Float32[np.ndarray, "height width 3"]


@final
@dataclass(frozen=True)
class Canvas:
    """A rectangle of the reference plane at some density.

    Attributes:
        origin_px: reference position (x, y) of its first texel at density 1.
        density: texels a reference pixel.
        size: in texels.
    """

    origin_px: tuple[float, float]
    density: float
    size: Size

    def x_px(self, columns: range) -> Float[np.ndarray, " width"]:
        """Reference positions of texel columns."""
        return self.origin_px[0] - 0.5 + (np.array(columns) + 0.5) / self.density

    def y_px(self, rows: range) -> Float[np.ndarray, " height"]:
        """Reference positions of texel rows."""
        return self.origin_px[1] - 0.5 + (np.array(rows) + 0.5) / self.density

    def texels(self, reference_px: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """Texel positions (x, y) of points of the reference plane."""
        origin = np.array(self.origin_px, np.float32)
        return (reference_px - origin + np.float32(0.5)) * np.float32(self.density) - np.float32(0.5)

    def window(self, inverse: InverseMap) -> Box:
        """The texels that a frame can reach; may be empty."""
        corner = np.array(self.origin_px) - 0.5
        left, top = np.clip(np.floor((inverse.origin_px - 0.5 - corner) * self.density), 0, self.size).astype(int)
        right, bottom = np.clip(np.ceil((inverse.end_px - 0.5 - corner) * self.density), 0, self.size).astype(int)
        return Box(int(left), int(top), int(right), int(bottom))


class View(NamedTuple):
    """One frame, ready to be averaged: display-encoded colour, trust in each pixel, and its map turned around.

    The map is in working pixels; ``scale`` is the frame's pixels a working pixel.
    """

    colour: Display
    trust: Float32[np.ndarray, "height width"]
    inverse: InverseMap
    scale: tuple[float, float]


def trust(alpha: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """How far each pixel of a frame speaks for a layer, by its alpha."""
    core = cv2.erode(alpha, np.ones((3, 3), np.uint8)) > 229
    steps = np.select([core, alpha > 229, alpha > 63], [_CORE, _EDGE, _MATTE], 0.0)
    return steps.astype(np.float32)


@final
@dataclass
class Average:
    """A weighted mean of views, built up one view at a time."""

    canvas: Canvas
    before: Display | None = None
    """An earlier mean; views that differ from it count less."""
    _sum: Display = field(init=False)
    _weight: Float32[np.ndarray, "height width"] = field(init=False)

    def __post_init__(self) -> None:
        width, height = self.canvas.size
        self._sum = np.zeros((height, width, 3), np.float32)
        self._weight = np.zeros((height, width), np.float32)

    def add(self, view: View) -> None:
        """Take one more view into the mean."""
        window = self.canvas.window(view.inverse)
        if not (window.size.width > 0 and window.size.height > 0):
            return
        rows = max(1, _BAND_TEXELS // window.size.width)
        parts = [range(top, min(top + rows, window.bottom)) for top in range(window.top, window.bottom, rows)]
        columns = range(window.left, window.right)
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda part: self._add_band(view, columns, part), parts):
                pass

    def _add_band(self, view: View, columns: range, rows: range) -> None:
        positions, known = view.inverse.at(self.canvas.x_px(columns), self.canvas.y_px(rows))
        scale = np.array(view.scale, np.float32)
        positions = (positions + np.float32(0.5)) * scale - np.float32(0.5)
        weight = warp(view.trust, positions, outside=0) * known
        colour = warp(view.colour, positions, cubic=True)
        part = np.s_[rows.start : rows.stop, columns.start : columns.stop]
        if self.before is not None:
            weight /= 1 + (difference(colour, self.before[part]) / _ROBUST) ** 2
        self._sum[part] += colour * weight[..., None]
        self._weight[part] += weight

    def mean(self) -> Display:
        """The mean, with what no view shows filled from around it; it is made in place of the sum, and once."""
        self.before = None
        for rows in bands(self._sum):
            self._sum[rows] /= np.maximum(self._weight[rows], 1e-9)[..., None]
            self._sum[rows][self._weight[rows] <= _COVERED] = 0
        return fill_holes(self._sum, self.covered())

    def covered(self) -> Float32[np.ndarray, "height width"]:
        """1 where a view shows the layer, else 0."""
        return (self._weight > _COVERED).astype(np.float32)
