"""Evidence of the diagnoses: measured frames with flow between them, and shared measures on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped, UInt8

from nvd_core.flow.compose import Points
from nvd_core.flow.dis import FlowPx
from nvd_core.image.filters import blur
from nvd_core.image.geometry import Box, size_of
from nvd_core.image.sample import at_points
from nvd_core.quality.metrics import PooledPsnr, Texels
from nvd_core.spec.conventions import Size

Share = Float32[np.ndarray, "height width"]
NOISE: Final = 0.012
"""Difference of two pictures of the same thing, about, display-encoded."""

_TO_SPARE: Final = 8
"""Fewest frames that make an atlas; clips with no more are not advised to use a part."""


class MeasuredFrame(NamedTuple):
    """A frame at working size, display-encoded.

    Attributes:
        plate: the plate.
        plate_psnr: of the rebuilt frame, at the plate's size.
        layer_psnrs: the same over each layer's own pixels.
        errors: of the rebuilt frame.
        flat: composite of the atlases without residual.
        flat_errors: its errors.
        alphas: visible alpha of each layer, 0 to 1.
        details: fine detail of each layer's residual, stops.
        texels: atlas position of every pixel on each layer.
        atlases: size of each layer's atlas, texels.
        place: name of the background.
        brightest: layers that reach the limit of half floats somewhere.
    """

    plate: Float32[np.ndarray, "height width 3"]
    plate_psnr: PooledPsnr
    layer_psnrs: dict[str, PooledPsnr]
    errors: Share
    flat: Float32[np.ndarray, "height width 3"]
    flat_errors: Share
    alphas: dict[str, Share]
    details: dict[str, Share]
    texels: dict[str, Texels]
    atlases: dict[str, Size]
    place: str
    brightest: frozenset[str] = frozenset()

    @property
    def size(self) -> Size:
        """Working size."""
        return size_of(self.plate)

    def core(self, layer: str) -> Bool[np.ndarray, "height width"]:
        """Pixels that show this layer alone and do not touch another."""
        return cv2.erode(self.alphas[layer], np.ones((5, 5), np.uint8)) > 0.9


class FramePair(NamedTuple):
    """A frame with the one before it and the flow between them; the first frame has neither.

    Attributes:
        before: the frame before.
        now: the frame.
        flow_px: optical flow from the frame before to this one, working px.
        sure: cross-check of the flow, on the frame before.
    """

    before: MeasuredFrame | None
    now: MeasuredFrame
    flow_px: FlowPx | None = None
    sure: Bool[np.ndarray, "height width"] | None = None


@final
@dataclass(frozen=True)
class Case:
    """The layer under diagnosis.

    Attributes:
        layer: its name.
        numbers: plate numbers of the frames.
        size: working size.
        plate: size of the plate.
        is_place: whether it is the background.
        metrics: metrics of the layer.
        clip: metrics of the clip.
    """

    layer: str
    numbers: range
    size: Size
    plate: Size
    is_place: bool
    metrics: dict[str, Any]
    clip: dict[str, Any]

    def plate_px(self, working_px: float) -> float:
        """Convert a length from working px to plate px."""
        return working_px * self.plate.width / self.size.width

    def plate_box(self, box: Box) -> Box:
        """Convert a box from working px to plate px."""
        x, y = self.plate.width / self.size.width, self.plate.height / self.size.height
        return Box(round(box.left * x), round(box.top * y), round(box.right * x), round(box.bottom * y))

    def alone_without(self, frames: Collection[int]) -> str:
        """Phrase that advises the longest range without these frames; empty if below half the clip or 8 frames."""
        ends = [self.numbers.start - 1, *sorted(frames), self.numbers.stop]
        before, behind = max(pairwise(ends), key=lambda gap: gap[1] - gap[0])
        left = behind - before - 1
        if left < max(_TO_SPARE, len(self.numbers) / 2):
            return ""
        return f", or decompose frames {before + 1}-{behind - 1} alone"

    def named_frames(self, indices: Iterable[int]) -> tuple[int, ...]:
        """Convert indices of frames to plate numbers."""
        return tuple(self.numbers[t] for t in indices)

    def or_shorter(self) -> str:
        """Phrase that advises a shorter range as a second cure; empty for clips of at most 8 frames."""
        return ", or a shorter range with --frames," if len(self.numbers) > _TO_SPARE else ""

    @property
    def named(self) -> str:
        """Name of the layer at the beginning of a sentence."""
        return "The background" if self.is_place else self.layer


def luma(picture: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Luma of a display-encoded picture, 0 to 1."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def detail(picture: Share) -> Share:
    """Band-pass a picture (difference of Gaussians, 1 and 6 px): neither grain nor light."""
    return blur(picture, 1) - blur(picture, 6)


def likeness(frame: MeasuredFrame, where: Bool[np.ndarray, "height width"]) -> float:
    """Correlation of the detail of plate and atlas, -1 to 1; low where the map is wrong."""
    plate, flat = (detail(luma(picture))[where] for picture in (frame.plate, frame.flat))
    return float((plate * flat).sum() / max(np.sqrt((plate**2).sum() * (flat**2).sum()), 1e-9))


def slopes(texels: Texels) -> tuple[Texels, Texels]:
    """Jacobian of the map by central differences: change of the atlas position per pixel along x, and along y."""
    along_y, along_x = np.gradient(texels, axis=(0, 1))
    return along_x.astype(np.float32), along_y.astype(np.float32)


def led_to(here: Texels, there: Texels, points: Points, start_px: Float32[np.ndarray, " 2"]) -> Points:
    """Track points of a frame to the next through a layer's maps, by Newton's method.

    Args:
        here: atlas positions of the layer in the frame.
        there: its atlas positions in the next frame.
        points: (x, y), px.
        start_px: initial guess of their motion.

    Returns:
        Positions in the next frame, px; NaN where they leave it or the map is singular.
    """
    wanted, reached = at_points(here, points), points + start_px
    fields = (there, *slopes(there))
    # Per coordinate its value and both derivatives: OpenCV samples three channels fast and without rounding positions.
    together = [np.dstack([field[..., axis] for field in fields]) for axis in (0, 1)]
    for _ in range(4):
        (x, xx, xy), (y, yx, yy) = (at_points(one, reached).T for one in together)
        miss = np.stack([x, y], axis=-1) - wanted
        area = xx * yy - xy * yx
        area = np.where(np.abs(area) > 1e-4, area, np.nan)
        step = np.stack([yy * miss[:, 0] - xy * miss[:, 1], xx * miss[:, 1] - yx * miss[:, 0]], -1) / area[:, None]
        reached = np.nan_to_num(reached - step, nan=-1e4, posinf=-1e4, neginf=-1e4).clip(-1e4, 1e4)
    height, width = here.shape[:2]
    inside = np.all((reached > 0) & (reached < (width - 1, height - 1)), axis=-1)
    return np.where(inside[:, None], reached, np.nan).astype(np.float32)


def left_over(before: MeasuredFrame, now: MeasuredFrame, points: Points, led: Points) -> Float32[np.ndarray, " point"]:
    """Photometric error of tracked points: luma difference of two frames, averaged over the points of 5x5 px.

    Args:
        before: the frame.
        now: the next frame.
        points: (x, y), whole px.
        led: their positions in the next frame, px; NaN where unknown, which counts as a difference of 1.
    """
    shape = (before.size.height, before.size.width)
    known = np.isfinite(led).all(axis=-1)
    columns, rows = points.astype(int).T
    there = at_points(luma(now.plate), led[known])
    different = np.ones(len(points), np.float32)
    different[known] = np.abs(there - luma(before.plate)[rows[known], columns[known]])
    around, count = (
        cv2.boxFilter(placed(one, rows, columns, shape), -1, (5, 5)) for one in (different, np.ones_like(different))
    )
    return (around / np.maximum(count, 1e-6))[rows, columns]


def placed(
    values: Shaped[np.ndarray, " point"],
    rows: Int[np.ndarray, " point"],
    columns: Int[np.ndarray, " point"],
    shape: tuple[int, ...],
) -> Shaped[np.ndarray, "height width"]:
    """Scatter values of points into a picture, 0 elsewhere; booleans become 0 and 1."""
    picture = np.zeros(shape, np.uint8 if values.dtype == bool else values.dtype)
    picture[rows, columns] = values
    return picture


class Region(NamedTuple):
    """A connected region of pixels, and its bounding box."""

    area_px: int
    box: Box


def largest(mask: UInt8[np.ndarray, "height width"]) -> Region:
    """Find the largest connected region of a mask; an empty one if the mask is."""
    found = cv2.connectedComponentsWithStats(mask)[2][1:]
    if not len(found):
        return Region(0, Box(0, 0, 0, 0))
    left, top, width, height, area = (int(number) for number in found[found[:, cv2.CC_STAT_AREA].argmax()])
    return Region(area, Box(left, top, left + width, top + height))
