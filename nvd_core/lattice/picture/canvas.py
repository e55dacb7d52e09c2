"""Average frames into a picture of the layer on a rectangle of the reference plane.

Each texel pulls its colour from the frame through the inverse map, with a cubic filter. So no texel stays
empty between the frames' pixels and no moiré appears, whatever the zoom.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias, final

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from nvd_core.image.filters import difference, fill_holes
from nvd_core.image.geometry import Box, rescaled
from nvd_core.image.sample import bands, resample
from nvd_core.lattice.layer import ALONE
from nvd_core.lattice.picture.inverse import InverseMap
from nvd_core.runtime.parallel import WORKERS
from nvd_core.spec.conventions import RIM, Size

_CORE, _EDGE, _MATTE = 1.0, 1e-2, 1e-4
"""Weight of a pixel in the core of the layer, at its edge, on its matte's soft rim."""

_ROBUST: Final = 0.1
"""Scale of the robust (Cauchy) weight: difference from the earlier mean, of 1, at which a frame counts half."""

_COVERED: Final = 1e-5
"""Sum of weights above which a texel counts as seen."""

_BAND_TEXELS: Final = 1 << 20
"""Texels in a band of rows, about; frames are averaged band by band, which bounds memory."""

Display = Float32[np.ndarray, "height width 3"]


@final
@dataclass(frozen=True)
class Canvas:
    """A rectangle of the reference plane, sampled at a density.

    Attributes:
        origin_px: (x, y) in the reference plane of the centre of the first texel at density 1.
        density: texels per px of the reference plane.
        size: texels.
    """

    origin_px: tuple[float, float]
    density: float
    size: Size

    def x_px(self, columns: range) -> Float[np.ndarray, " width"]:
        """Reference-plane x of texel columns, px."""
        return self.origin_px[0] - 0.5 + (np.array(columns) + 0.5) / self.density

    def y_px(self, rows: range) -> Float[np.ndarray, " height"]:
        """Reference-plane y of texel rows, px."""
        return self.origin_px[1] - 0.5 + (np.array(rows) + 0.5) / self.density

    def texels(self, reference_px: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """Convert points of the reference plane, px, to texel positions (x, y)."""
        return np.stack(rescaled(reference_px, (1, 1), (self.density, self.density), self.origin_px), axis=-1)

    def window(self, inverse: InverseMap) -> Box:
        """Bounding box of the texels that a frame can reach; may be empty."""
        corner = np.array(self.origin_px) - 0.5
        left, top = np.clip(np.floor((inverse.origin_px - 0.5 - corner) * self.density), 0, self.size).astype(int)
        right, bottom = np.clip(np.ceil((inverse.end_px - 0.5 - corner) * self.density), 0, self.size).astype(int)
        return Box(int(left), int(top), int(right), int(bottom))


class View(NamedTuple):
    """A frame ready to be averaged: display-encoded colour, weight of each pixel, and the inverse map.

    The map is in working px; ``scale`` is the frame's px per working px along x and y.
    """

    colour: Display
    trust: Float32[np.ndarray, "height width"]
    inverse: InverseMap
    scale: tuple[float, float]


Trust: TypeAlias = Callable[[UInt8[np.ndarray, "height width"]], Float32[np.ndarray, "height width"]]
"""Weight of each pixel in a layer's mean, 0 to 1, by its alpha."""


def trust(alpha: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Trust pixels in the layer's core most, but its edge and its soft rim, too: thin parts have nothing else."""
    core = cv2.erode(alpha, np.ones((3, 3), np.uint8)) > ALONE
    steps = np.select([core, alpha > ALONE, alpha > 63], [_CORE, _EDGE, _MATTE], 0.0)
    return steps.astype(np.float32)


def trust_core(alpha: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Trust the layer's core alone: what is seen only on the rim of objects has their colour, not the background's."""
    side = 2 * (1 + round(RIM * alpha.shape[0])) + 1  # a pixel more: colour is sampled from around
    return (cv2.erode(alpha, np.ones((side, side), np.uint8)) > ALONE).astype(np.float32)


@final
@dataclass
class Average:
    """Running weighted mean of views on a canvas."""

    canvas: Canvas
    before: Display | None = None
    """Earlier mean; views that differ from it count less (robust mean)."""
    _sum: Display = field(init=False)
    _weight: Float32[np.ndarray, "height width"] = field(init=False)

    def __post_init__(self) -> None:
        width, height = self.canvas.size
        self._sum = np.zeros((height, width, 3), np.float32)
        self._weight = np.zeros((height, width), np.float32)

    def add(self, view: View) -> None:
        """Add a view to the mean."""
        window = self.canvas.window(view.inverse)
        if min(window.size) <= 0:
            return
        rows, columns = (range(one.start, one.stop) for one in window.slices)
        height = max(1, _BAND_TEXELS // len(columns))
        parts = [rows[top : top + height] for top in range(0, len(rows), height)]
        with ThreadPoolExecutor(WORKERS) as pool:
            for _ in pool.map(lambda part: self._add_band(view, columns, part), parts):
                pass

    def _add_band(self, view: View, columns: range, rows: range) -> None:
        """Sample a view at the texels of a band, through the inverse map, and add it with robust weights."""
        positions, known = view.inverse.at(self.canvas.x_px(columns), self.canvas.y_px(rows))
        x_px, y_px = rescaled(positions, (1, 1), view.scale)
        weight = resample(view.trust, x_px, y_px, outside=0)
        weight *= known
        colour = resample(view.colour, x_px, y_px, cubic=True)
        part = np.s_[rows.start : rows.stop, columns.start : columns.stop]
        if self.before is not None:
            weight /= 1 + (difference(colour, self.before[part]) / _ROBUST) ** 2
        colour *= weight[..., None]
        self._sum[part] += colour
        self._weight[part] += weight

    def mean(self) -> Display:
        """Divide by the weights and fill texels that no view shows from around; overwrites the sum, so call once."""
        self.before = None
        for rows in bands(self._sum):
            self._sum[rows] /= np.maximum(self._weight[rows], 1e-9)[..., None]
            self._sum[rows][self._weight[rows] <= _COVERED] = 0
        return fill_holes(self._sum, self.covered())

    def covered(self) -> Float32[np.ndarray, "height width"]:
        """Mask of the texels that a view shows, 0 or 1."""
        return (self._weight > _COVERED).astype(np.float32)
