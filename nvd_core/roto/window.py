"""Windows on the part of a frame that shows an object, and masks stored in such a window alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from nvd_core.image.filters import blur
from nvd_core.image.geometry import Box, Points, bounding_box, pixel_grid
from nvd_core.image.sample import warp
from nvd_core.spec.conventions import Size


@final
@dataclass(frozen=True)
class Window:
    """Grid of points over a part of a frame.

    Attributes:
        left: x of the first point, working px.
        top: y of the first point, working px.
        zoom: spacing of the points, a window's step, working px.
        columns: points across.
        rows: points down.
    """

    left: float
    top: float
    zoom: float
    columns: int
    rows: int

    @classmethod
    def over(cls, bounds: Box, zoom: float, least: int = 32) -> Window:
        """Cover a rectangle by at least ``least`` points a side."""
        columns, rows = (
            max(least, int(np.ceil((end - start) / zoom)))
            for start, end in ((bounds.left, bounds.right), (bounds.top, bounds.bottom))
        )
        return cls(bounds.left, bounds.top, zoom, columns, rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @cached_property
    def places(self) -> Points:
        """Positions of the points in the frame, working px."""
        return self.beside(0)

    def beside(self, step: Points | float) -> Points:
        """Positions of the points, working px, displaced by ``step``, in window steps."""
        start = np.array([self.left, self.top], np.float32)
        return ((pixel_grid(Size(self.columns, self.rows)) + step) * np.float32(self.zoom) + start).astype(np.float32)

    def indices(self, places: Points) -> Points:
        """Convert positions in the frame, working px, to window steps."""
        return (places - np.array([self.left, self.top], np.float32)) / np.float32(self.zoom)


@final
@dataclass(frozen=True)
class Cutout:
    """Mask of a frame, stored in a window; 0 outside.

    Attributes:
        window: its grid.
        mask: 0 to 1.
    """

    window: Window
    mask: Float32[np.ndarray, "row column"]

    @classmethod
    def of(cls, mask: Shaped[np.ndarray, "height width"]) -> Cutout:
        """Crop a whole frame's mask, 0 to 1 at working size, to what it covers."""
        bounds = bounding_box(mask > 0) or Box(0, 0, 1, 1)
        return cls(Window.over(bounds, 1, least=1), np.ascontiguousarray(mask[bounds.slices], np.float32))

    @cached_property
    def area(self) -> float:
        """Area covered, in pixels of the working size."""
        return float((self.mask > 0.5).sum()) * self.window.zoom**2

    @cached_property
    def bounds(self) -> Box | None:
        """Bounding box, working px; None if the mask is empty."""
        box = bounding_box(self.mask > 0.5)
        if box is None:
            return None
        zoom, left, top = self.window.zoom, self.window.left, self.window.top
        return Box(*(zoom * side + start for side, start in zip(box, (left, top, left, top), strict=True)))

    def at(self, places: Points) -> Float32[np.ndarray, "row column"]:
        """Sample the mask at positions in the frame, working px."""
        return warp(self.mask, self.window.indices(places), outside=0)


def around(masks: Sequence[Cutout]) -> Window:
    """Window that covers masks, none of them empty, on the grid of the finest."""
    edges = np.array([one.bounds for one in masks])
    finest = min((one.window for one in masks), key=lambda window: window.zoom)
    bounds = Box(*map(float, (*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)))).grown(4 * finest.zoom)
    left, top = (
        start + np.floor((edge - start) / finest.zoom) * finest.zoom
        for start, edge in ((finest.left, bounds.left), (finest.top, bounds.top))
    )
    return Window.over(Box(float(left), float(top), bounds.right, bounds.bottom), finest.zoom)


def look(picture: UInt8[np.ndarray, "height width 3"], places: Points, zoom: float) -> UInt8[np.ndarray, "r c 3"]:
    """Sample a picture at positions ``zoom`` px apart, blurred against aliasing; its border is repeated outside."""
    if zoom > 1.4:
        picture = blur(picture, 0.3 * zoom)
    return warp(picture, places)
