"""A layer at working size: all frames with the layer's visible alpha, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.flow.given import GivenFlow
from nvd_core.image.colour import luma8, to_linear
from nvd_core.image.geometry import Box, bounding_box
from nvd_core.lattice.register.user_flow import LayerFlow
from nvd_core.runtime.picture_store import Halved, Pictures
from nvd_core.spec.conventions import Size

_MIN_AREA_PX: Final = 16
"""Fewest pixels of a layer in a frame; with fewer it counts as hidden there."""

ALONE: Final = 229
"""Alpha, of 255, above which a pixel counts as showing one layer alone."""


@final
@dataclass(frozen=True)
class LayerView:
    """Frames and visible alpha of one layer, at working size.

    Attributes:
        frames: 8-bit display-encoded RGB.
        alpha: visible share of the layer in each pixel, 0 to 255.
        flow: the user's flow; None where flow is computed.
        scale: px of these frames per working px. Maps stay in working px.
    """

    frames: Pictures | Halved | UInt8[np.ndarray, "frame height width 3"]
    alpha: Pictures | Halved | UInt8[np.ndarray, "frame height width"]
    flow: LayerFlow | None = None
    scale: float = 1.0

    @classmethod
    def of(
        cls,
        frames: Pictures | UInt8[np.ndarray, "frame height width 3"],
        alpha: Pictures | UInt8[np.ndarray, "frame height width"],
        given: GivenFlow | None,
    ) -> LayerView:
        """View one layer of a whole shot, with the user's flow if there is one."""
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
        """Bounding box of the layer in each frame; None where it is hidden."""
        return tuple(_bounding_box(alpha) for alpha in self.alpha)

    @cached_property
    def areas_px(self) -> Float32[np.ndarray, " frame"]:
        """Pixels of alpha above one half in each frame."""
        return np.array([np.count_nonzero(alpha > 127) for alpha in self.alpha], np.float32)

    @cached_property
    def visible(self) -> tuple[int, ...]:
        """Indices of the frames that show the layer."""
        return tuple(t for t, box in enumerate(self.boxes) if box is not None)

    @cached_property
    def fills_frame(self) -> bool:
        """Whether the layer covers more than half of the frame on average: a background rather than an object."""
        return bool(self.areas_px.mean() > 0.5 * self.size.width * self.size.height)

    def every(self, step: int) -> LayerView:
        """Keep every ``step``-th frame."""
        return self.part(range(0, self.count, step))

    def part(self, which: Sequence[int]) -> LayerView:
        """Keep some frames, by index."""
        return LayerView(self.frames[which], self.alpha[which], self.flow and self.flow.part(which), self.scale)

    @cached_property
    def halved(self) -> LayerView:
        """The layer at half size, for what is smoothed over many pixels; frames that show little of it hide it then."""
        return LayerView(Halved(self.frames), Halved(self.alpha), self.flow, self.scale / 2)

    def box(self, t: int) -> Box:
        """Bounding box of the layer in a frame that shows it."""
        box = self.boxes[t]
        assert box is not None, f"layer is hidden in frame {t}"  # noqa: S101 (our own invariant)
        return box

    def luma(self, t: int) -> UInt8[np.ndarray, "height width"]:
        """Luma of a frame, for optical flow and features."""
        return luma8(self.frames[t])

    def linear(self, t: int) -> Float32[np.ndarray, "height width 3"]:
        """A frame in linear light."""
        return to_linear(self.frames[t])

    def inside(self, t: int) -> Bool[np.ndarray, "height width"]:
        """Pixels that show mostly this layer."""
        return self.alpha[t] > 127

    def core(self, t: int) -> Bool[np.ndarray, "height width"]:
        """Pixels that show this layer alone and do not touch another."""
        return cv2.erode(self.alpha[t], np.ones((3, 3), np.uint8)) > ALONE


def _bounding_box(alpha: UInt8[np.ndarray, "height width"]) -> Box | None:
    """Bounding box of alpha above one half; None with too few pixels."""
    inside = alpha > 127
    return bounding_box(inside) if np.count_nonzero(inside) >= _MIN_AREA_PX else None
