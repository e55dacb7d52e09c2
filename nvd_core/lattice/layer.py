"""One layer of the clip as the solver sees it: the frames, and where the layer is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.clip.colour import luma8, to_linear
from nvd_core.conventions import Size
from nvd_core.flow.given import GivenFlow
from nvd_core.lattice.given import LayerFlow
from nvd_core.scratch import Pictures

_MIN_AREA_PX = 16
"""A layer that shows fewer pixels in a frame counts as hidden there."""


class Box(NamedTuple):
    """A rectangle of pixels; the end is excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle in an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def size(self) -> Size:
        """Width and height."""
        return Size(self.right - self.left, self.bottom - self.top)

    def grown(self, margin: float, size: Size, least: int = 1) -> Box:
        """Larger by a margin on each side and at least ``least`` px wide and high, inside a picture."""
        left, right = _stretch(self.left - margin, self.right + margin, least, size.width)
        top, bottom = _stretch(self.top - margin, self.bottom + margin, least, size.height)
        return Box(left, top, right, bottom)


def _stretch(start: float, end: float, least: int, limit: int) -> tuple[int, int]:
    lack = max(0.0, least - (end - start)) / 2
    start, end = start - lack, end + lack
    shift = max(0.0, -start) - max(0.0, end - limit)
    return max(0, int(np.floor(start + shift))), min(limit, int(np.ceil(end + shift)))


@final
@dataclass(frozen=True)
class LayerView:
    """Frames and visible alpha of one layer, at working size.

    Attributes:
        frames: 8-bit display-encoded RGB.
        alpha: visible share of the layer in each pixel, 0 to 255.
        flow: between the frames, where it is given.
    """

    frames: Pictures | UInt8[np.ndarray, "frame height width 3"]
    alpha: Pictures | UInt8[np.ndarray, "frame height width"]
    flow: LayerFlow | None = None

    @classmethod
    def of(
        cls,
        frames: Pictures | UInt8[np.ndarray, "frame height width 3"],
        alpha: Pictures | UInt8[np.ndarray, "frame height width"],
        given: GivenFlow | None,
    ) -> LayerView:
        """A layer of a whole shot, with the flow that is given for it."""
        view = cls(frames, alpha)
        return view if given is None else cls(frames, alpha, LayerFlow(given, view.core, range(view.count)))

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def size(self) -> Size:
        """Working size."""
        return Size(self.frames.shape[2], self.frames.shape[1])

    @cached_property
    def boxes(self) -> tuple[Box | None, ...]:
        """Where the layer lies in each frame; None where it is hidden."""
        return tuple(_bounding_box(alpha) for alpha in self.alpha)

    @cached_property
    def areas_px(self) -> Float32[np.ndarray, " frame"]:
        """Pixels that the layer covers in each frame."""
        return np.array([np.count_nonzero(alpha > 127) for alpha in self.alpha], np.float32)

    @cached_property
    def visible(self) -> tuple[int, ...]:
        """Frames that show the layer."""
        return tuple(t for t, box in enumerate(self.boxes) if box is not None)

    @cached_property
    def fills_frame(self) -> bool:
        """Whether the layer is more of a place than a thing."""
        return bool(self.areas_px.mean() > 0.5 * self.size.width * self.size.height)

    def every(self, step: int) -> LayerView:
        """Only every ``step``-th frame."""
        return self.part(range(0, self.count, step))

    def part(self, which: Sequence[int]) -> LayerView:
        """Only some frames."""
        return LayerView(self.frames[which], self.alpha[which], self.flow and self.flow.part(which))

    def box(self, t: int) -> Box:
        """Where the layer lies in a frame that shows it."""
        found = self.boxes[t]
        assert found is not None, f"layer is hidden in frame {t}"  # noqa: S101 (our own invariant)
        return found

    def luma(self, t: int) -> UInt8[np.ndarray, "height width"]:
        """What optical flow looks at."""
        return luma8(self.frames[t])

    def linear(self, t: int) -> Float32[np.ndarray, "height width 3"]:
        """The frame in linear light."""
        return to_linear(self.frames[t])

    def inside(self, t: int) -> Bool[np.ndarray, "height width"]:
        """Pixels that show mostly this layer."""
        return self.alpha[t] > 127

    def core(self, t: int) -> Bool[np.ndarray, "height width"]:
        """Pixels that show this layer alone and do not touch another."""
        return cv2.erode(self.alpha[t], np.ones((3, 3), np.uint8)) > 229


def _bounding_box(alpha: UInt8[np.ndarray, "height width"]) -> Box | None:
    inside = alpha > 127
    if np.count_nonzero(inside) < _MIN_AREA_PX:
        return None
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.any(axis=1))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
