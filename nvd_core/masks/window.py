"""A window on the part of a frame that an object is in, and a mask known in such a window alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8

from nvd_core.masks.camera import Points, pixel_grid, sampled


class Bounds(NamedTuple):
    """A rectangle in working px; the end is excluded."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        """The longer one."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def corners(self) -> Float32[np.ndarray, "4 2"]:
        """Its four corners."""
        return np.array([(x, y) for x in (self.left, self.right) for y in (self.top, self.bottom)], np.float32)

    def grown(self, margin: float) -> Bounds:
        """Larger on every side."""
        return Bounds(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def within(self, other: Bounds) -> Bounds:
        """What both have."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Bounds(left, top, max(left, min(self.right, other.right)), max(top, min(self.bottom, other.bottom)))


@final
@dataclass(frozen=True)
class Window:
    """A grid of points over a part of a frame.

    Attributes:
        left: of the first point, working px.
        top: likewise.
        zoom: working px from point to point.
        columns: points across.
        rows: points down.
    """

    left: float
    top: float
    zoom: float
    columns: int
    rows: int

    @classmethod
    def over(cls, bounds: Bounds, zoom: float, least: int = 32) -> Window:
        """One that covers a rectangle."""
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
    def places(self) -> Float32[np.ndarray, "row column 2"]:
        """Where its points are in the frame, working px."""
        return self.beside(0)

    def beside(self, step: Points | float) -> Float32[np.ndarray, "row column 2"]:
        """Where its points would be if they lay so many of its own steps aside."""
        start = np.array([self.left, self.top], np.float32)
        return ((pixel_grid(self.shape) + step) * np.float32(self.zoom) + start).astype(np.float32)

    def indices(self, places: Points) -> Points:
        """Where places in the frame lie in the window, in its own steps."""
        return (places - np.array([self.left, self.top], np.float32)) / np.float32(self.zoom)


@final
@dataclass(frozen=True)
class Cutout:
    """A mask that is 0 outside its window.

    Attributes:
        window: where it is.
        mask: 0 or 1 (or between, at its edge).
    """

    window: Window
    mask: Float32[np.ndarray, "row column"]

    @classmethod
    def of(cls, mask: Shaped[np.ndarray, "height width"]) -> Cutout:
        """A whole frame's mask, 0 to 1."""
        bounds = bounding(mask > 0) or Bounds(0, 0, 1, 1)
        window = Window.over(bounds, 1, least=1)
        rows, columns = (slice(int(start), int(end)) for start, end in (bounds[1::2], bounds[0::2]))
        return cls(window, np.ascontiguousarray(mask[rows, columns], np.float32))

    @cached_property
    def area(self) -> float:
        """Working px that it covers."""
        return float((self.mask > 0.5).sum()) * self.window.zoom**2

    @cached_property
    def bounds(self) -> Bounds | None:
        """Working px that it covers; None if it is empty."""
        found = bounding(self.mask > 0.5)
        if found is None:
            return None
        zoom, left, top = self.window.zoom, self.window.left, self.window.top
        return Bounds(*(zoom * side + start for side, start in zip(found, (left, top, left, top), strict=True)))

    def at(self, places: Points) -> Float32[np.ndarray, "row column"]:
        """The mask at places in the frame."""
        return sampled(self.mask, self.window.indices(places), outside=0)


def around(masks: Sequence[Cutout]) -> Window:
    """A window that covers masks, none of them empty, on the grid of the finest."""
    edges = np.array([one.bounds for one in masks])
    finest = min((one.window for one in masks), key=lambda window: window.zoom)
    bounds = Bounds(*map(float, (*edges[:, :2].min(axis=0), *edges[:, 2:].max(axis=0)))).grown(4 * finest.zoom)
    left, top = (
        start + np.floor((edge - start) / finest.zoom) * finest.zoom
        for start, edge in ((finest.left, bounds.left), (finest.top, bounds.top))
    )
    return Window.over(Bounds(float(left), float(top), bounds.right, bounds.bottom), finest.zoom)


def bounding(mask: Bool[np.ndarray, "row column"]) -> Bounds | None:
    """The rectangle around what is set; None if nothing is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return Bounds(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def look(picture: UInt8[np.ndarray, "height width 3"], places: Points, zoom: float) -> UInt8[np.ndarray, "r c 3"]:
    """A picture at places that lie ``zoom`` px apart; its edge goes on outside."""
    if zoom > 1.4:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.3 * zoom)
    return sampled(picture, places)
