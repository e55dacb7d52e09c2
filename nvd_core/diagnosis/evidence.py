"""What diagnoses are made from: frames as they were measured, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped, UInt8

from nvd_core.conventions import Size
from nvd_core.diagnosis.finding import Box
from nvd_core.flow.dis import FlowPx
from nvd_core.metrics import PooledPsnr, Texels
from nvd_core.resample import resample

Share = Float32[np.ndarray, "height width"]
NOISE: Final = 0.012
"""Two pictures of the same differ by about this much, display-encoded."""

_IN_A_ROW: Final = 1024

Points = Float32[np.ndarray, "point 2"]


class Look(NamedTuple):
    """A frame at working size, display-encoded.

    Attributes:
        plate: as it was shot.
        plate_squares: how far the rebuilt frame is from it at its own size.
        rebuilt: from the layers.
        flat: from the atlases alone, without their light.
        alphas: visible share of each layer.
        details: of each layer's light, stops.
        texels: of each layer, where in its atlas every pixel lies.
        atlases: size of each layer's atlas, texels.
    """

    plate: Float32[np.ndarray, "height width 3"]
    plate_squares: PooledPsnr
    rebuilt: Float32[np.ndarray, "height width 3"]
    flat: Float32[np.ndarray, "height width 3"]
    alphas: dict[str, Share]
    details: dict[str, Share]
    texels: dict[str, Texels]
    atlases: dict[str, Size]

    @property
    def size(self) -> Size:
        """Working size."""
        return Size(self.plate.shape[1], self.plate.shape[0])

    @property
    def place(self) -> str:
        """The background."""
        return list(self.alphas)[-1]

    def core(self, layer: str) -> Bool[np.ndarray, "height width"]:
        """Pixels that show this layer alone and do not touch another."""
        return cv2.erode(self.alphas[layer], np.ones((5, 5), np.uint8)) > 0.9


class Step(NamedTuple):
    """A frame and how it follows the one before, of which the first frame has none.

    Attributes:
        before: the frame before.
        now: the frame.
        flow_px: from the one before to this one.
        sure: where flow there and back agree, of the frame before.
    """

    before: Look | None
    now: Look
    flow_px: FlowPx | None = None
    sure: Bool[np.ndarray, "height width"] | None = None


@final
@dataclass(frozen=True)
class Case:
    """The layer that a diagnosis is made of.

    Attributes:
        layer: its name.
        numbers: plate numbers of the frames.
        size: working size.
        plate: the plate's size.
        is_place: whether it is the background.
        metrics: what was measured of the layer.
        clip: what was measured of the clip.
    """

    layer: str
    numbers: range
    size: Size
    plate: Size
    is_place: bool
    metrics: dict[str, Any]
    clip: dict[str, Any]

    def plate_px(self, working_px: float) -> float:
        """A length of the working picture in pixels of the plate."""
        return working_px * self.plate.width / self.size.width

    def plate_box(self, box: Box) -> Box:
        """A box of the working picture in pixels of the plate."""
        x, y = self.plate.width / self.size.width, self.plate.height / self.size.height
        return Box(round(box.left * x), round(box.top * y), round(box.right * x), round(box.bottom * y))

    def named_frames(self, indices: Iterable[int]) -> tuple[int, ...]:
        """Plate numbers of frames."""
        return tuple(self.numbers[t] for t in indices)

    @property
    def named(self) -> str:
        """The layer, as the beginning of a sentence."""
        return "The background" if self.is_place else self.layer


def luma(picture: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
    """Brightness, 0 to 1."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def detail(picture: Share) -> Share:
    """What is neither grain nor light."""
    return cv2.GaussianBlur(picture, (0, 0), 1) - cv2.GaussianBlur(picture, (0, 0), 6)


def likeness(frame: Look, where: Bool[np.ndarray, "height width"]) -> float:
    """Correlation of the detail of plate and atlas, which is low where the map is wrong."""
    plate, flat = (detail(luma(picture))[where] for picture in (frame.plate, frame.flat))
    return float((plate * flat).sum() / max(np.sqrt((plate**2).sum() * (flat**2).sum()), 1e-9))


def slopes(texels: Texels) -> tuple[Texels, Texels]:
    """Change of the atlas position from a pixel to the next one right, and to the next one down."""
    along_y, along_x = np.gradient(texels, axis=(0, 1))
    return along_x.astype(np.float32), along_y.astype(np.float32)


def led_to(here: Texels, there: Texels, points: Points, start_px: Float32[np.ndarray, " 2"]) -> Points:
    """Where the maps of a layer say that points of a frame are in the next.

    Args:
        here: the layer's map in the frame.
        there: its map in the next frame.
        points: (x, y), px.
        start_px: about how far they go; Newton's method begins there.

    Returns:
        Their positions, px; not a number where the maps do not say.
    """
    wanted, reached = value_at(here, points), points + start_px
    along_x, along_y = slopes(there)
    for _ in range(4):
        miss = value_at(there, reached) - wanted
        (xx, yx), (xy, yy) = value_at(along_x, reached).T, value_at(along_y, reached).T
        area = xx * yy - xy * yx
        area = np.where(np.abs(area) > 1e-4, area, np.nan)
        step = np.stack([yy * miss[:, 0] - xy * miss[:, 1], xx * miss[:, 1] - yx * miss[:, 0]], -1) / area[:, None]
        reached = np.nan_to_num(reached - step, nan=-1e4, posinf=-1e4, neginf=-1e4).clip(-1e4, 1e4)
    height, width = here.shape[:2]
    inside = np.all((reached > 0) & (reached < (width - 1, height - 1)), axis=-1)
    return np.where(inside[:, None], reached, np.nan).astype(np.float32)


def left_over(before: Look, now: Look, points: Points, led: Points) -> Float32[np.ndarray, " point"]:
    """How different a frame is around each point from the next around where the point was led to.

    Args:
        before: the frame.
        now: the next.
        points: (x, y), whole px.
        led: where they go, px; what is not known is not a number, and counts as different.
    """
    shape = (before.size.height, before.size.width)
    known = np.isfinite(led).all(axis=-1)
    columns, rows = points.astype(int).T
    there = value_at(luma(now.plate), led[known])
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
    """Values of points as a picture, black elsewhere; what is true is 1."""
    picture = np.zeros(shape, np.uint8 if values.dtype == bool else values.dtype)
    picture[rows, columns] = values
    return picture


class Region(NamedTuple):
    """Pixels that hang together, and the box around them."""

    area_px: int
    box: Box


def largest(mask: UInt8[np.ndarray, "height width"]) -> Region:
    """The largest region of a mask; an empty one if there is none."""
    found = cv2.connectedComponentsWithStats(mask)[2][1:]
    if not len(found):
        return Region(0, Box(0, 0, 0, 0))
    left, top, width, height, area = (int(number) for number in found[found[:, cv2.CC_STAT_AREA].argmax()])
    return Region(area, Box(left, top, left + width, top + height))


def value_at(picture: Shaped[np.ndarray, "height width *chan"], places: Points) -> Shaped[np.ndarray, "point ..."]:
    """A picture at places, px. OpenCV looks up no more than 32,767 of them in a row."""
    lines = np.zeros((len(places) // _IN_A_ROW + 1, _IN_A_ROW, 2), np.float32)
    lines.reshape(-1, 2)[: len(places)] = places
    looked_up = resample(picture, lines[..., 0].copy(), lines[..., 1].copy())
    return looked_up.reshape(-1, *looked_up.shape[2:])[: len(places)]
