"""Step 1: where points of a layer go from one frame to another.

Optical flow is asked on pictures that show nothing but the layer (the rest is greyed out), cut to
where it is, and with the second frame already moved by what is known of the motion. So small, fast
and far-travelled objects are within its reach, and frames far apart can be compared (measured: a
running dog's atlas turns from a smear into a dog).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float

from nvd_core.conventions import Size
from nvd_core.flow.compose import Points, Start
from nvd_core.flow.dis import Grey, dis_flow, is_consistent
from nvd_core.lattice.imaging import Positions, blur, pixel_grid, transform, translation, warp
from nvd_core.lattice.layer import Box, LayerView
from nvd_core.parallel import map_ordered

_FLOW_AREA_PX: Final = 512 * 288
"""Flow is computed at the largest scale at which the layer's box has no more pixels than this."""

_SAMPLES: Final = 700_000
"""About how many matches a layer's equations are made of."""

_ENOUGH: Final = 12
"""With fewer points that given flow leads from one frame to the other, they are compared instead."""

_KEPT: Final = 256
"""So many pictures for flow are kept."""


class Matches(NamedTuple):
    """The same points of a layer in two frames, (x, y) in working px."""

    frame_a: int
    points_a: Points
    frame_b: int
    points_b: Points


@final
@dataclass(frozen=True)
class Registrar:
    """Finds matches between frames of one layer.

    Attributes:
        layer: the layer, at working size.
        offsets: distances in frames at which flow is asked. The long ones keep the map from following light
            that travels over a surface (measured on a floor under a moving shadow: +2 dB).
    """

    layer: LayerView
    offsets: tuple[int, ...]

    @cached_property
    def scale(self) -> float:
        """Flow pixels a working pixel."""
        largest = max((self.layer.box(t).size for t in self.layer.visible), key=lambda size: size.width * size.height)
        return min(1.0, math.sqrt(_FLOW_AREA_PX / (largest.width * largest.height)))

    @cached_property
    def size(self) -> Size:
        """Of the pictures that flow is computed on."""
        return Size(round(self.layer.size.width * self.scale), round(self.layer.size.height * self.scale))

    @cached_property
    def _to_flow(self) -> Float[np.ndarray, "3 3"]:
        """Working px to flow px; pixel centres of both pictures are at integers."""
        x, y = self.size.width / self.layer.size.width, self.size.height / self.layer.size.height
        return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])

    @cached_property
    def _picture(self) -> Callable[[int], Grey]:
        """What flow sees of a frame, kept for as many frames as the longest distance spans, and more."""
        return lru_cache(_KEPT)(self._drawn)

    def _drawn(self, t: int) -> Grey:
        luma = cv2.resize(self.layer.luma(t), self.size, interpolation=cv2.INTER_AREA)
        if self.layer.fills_frame:
            return luma
        alpha = cv2.resize(self.layer.alpha[t], self.size, interpolation=cv2.INTER_AREA)
        share = blur(alpha.astype(np.float32) / 255, 1.5)
        return (luma * share + 127 * (1 - share)).astype(np.uint8)

    def between(self, a: int, b: int, guesses: Sequence[Float[np.ndarray, "3 3"]], stride_px: float) -> Matches:
        """Matches of frame ``a`` with frame ``b``, on a grid over the layer.

        Args:
            a: a frame that shows the layer.
            b: another.
            guesses: what may be the way from ``a`` to ``b``, homographies in working px; the one under
                which the frames look most alike is where optical flow begins.
            stride_px: distance of the grid's points, working px.
        """
        if self.layer.flow is not None:
            followed = next(self._followed([(a, b)], stride_px))
            if _is_enough(followed):
                return followed
        return self._compared(a, b, guesses, stride_px)

    def _followed(self, pairs: Sequence[tuple[int, int]], stride_px: float) -> Iterator[Matches]:
        """Matches of pairs of frames along the flow that is given, where every frame between shows the layer, too."""
        assert self.layer.flow is not None  # noqa: S101 (our own invariant)
        later: dict[int, set[int]] = {}
        for a, b in pairs:
            later.setdefault(a, set()).add(b)
        starts = [Start(a, self._grid(a, stride_px), max(ends)) for a, ends in later.items()]
        points = {start.frame: start.points for start in starts}
        for a, b, there, seen in self.layer.flow.follow(starts):
            if b in later[a]:
                yield Matches(a, points[a][seen], b, there[seen])

    def _grid(self, t: int, stride_px: float) -> Points:
        """Points of the layer in a frame."""
        box, stride = self.layer.box(t), max(1, round(stride_px))
        points = pixel_grid(self.layer.size)[box.slices][stride // 2 :: stride, stride // 2 :: stride].reshape(-1, 2)
        return points[self._shown(t, points)]

    def _compared(self, a: int, b: int, guesses: Sequence[Float[np.ndarray, "3 3"]], stride_px: float) -> Matches:
        """Matches that are found in the pictures."""
        box = self._crop(a)
        positions_b, sure = self._flow(a, b, box, guesses)
        stride = max(1, round(stride_px * self.scale))
        grid = np.s_[stride // 2 :: stride, stride // 2 :: stride]
        in_flow_px = pixel_grid(box.size)[grid].reshape(-1, 2).astype(np.float64) + np.array([box.left, box.top])
        points_a = transform(np.linalg.inv(self._to_flow), in_flow_px).astype(np.float32)
        points_b = positions_b[grid].reshape(-1, 2)
        keep = sure[grid].ravel() & self._shown(a, points_a) & self._shown(b, points_b)
        return Matches(a, points_a[keep], b, points_b[keep])

    def _crop(self, t: int) -> Box:
        corners = np.array(self.layer.box(t), dtype=np.float64).reshape(2, 2)
        left, top, right, bottom = transform(self._to_flow, corners).ravel()
        margin = 8 + 0.12 * max(right - left, bottom - top)
        return Box(int(left), int(top), math.ceil(right), math.ceil(bottom)).grown(margin, self.size, least=48)

    def _flow(
        self, a: int, b: int, box: Box, guesses: Sequence[Float[np.ndarray, "3 3"]]
    ) -> tuple[Positions, Bool[np.ndarray, "height width"]]:
        """Position in frame ``b`` (working px) of each pixel of the box, and whether it is to be trusted."""
        source = np.ascontiguousarray(self._picture(a)[box.slices])
        corner = translation(np.array([box.left, box.top]))

        def moved(guess: Float[np.ndarray, "3 3"]) -> tuple[float, Float[np.ndarray, "3 3"], Grey]:
            from_box = self._to_flow @ guess @ np.linalg.inv(self._to_flow) @ corner
            picture = cv2.warpPerspective(
                self._picture(b),
                from_box,
                box.size,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return float(cv2.norm(source, picture, cv2.NORM_L1)), from_box, picture

        _, from_box, target = min(map(moved, guesses), key=lambda result: result[0])
        forward, backward = dis_flow(source, target), dis_flow(target, source)
        met = pixel_grid(box.size) + forward
        sure = is_consistent(forward, warp(backward, met, outside=0)) & _within(met, box.size)
        back_to_work = np.linalg.inv(self._to_flow) @ from_box
        return transform(back_to_work, met.astype(np.float64)).astype(np.float32), sure

    def _shown(self, t: int, points: Points) -> Bool[np.ndarray, " match"]:
        column, row = np.rint(np.nan_to_num(points, nan=-9, posinf=-9, neginf=-9)).astype(int).T
        width, height = self.layer.size
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        return inside & self.layer.core(t)[np.where(inside, row, 0), np.where(inside, column, 0)]

    def matches(
        self, motions: Sequence[Sequence[Float[np.ndarray, "3 3"]]], pairs: Sequence[tuple[int, int]]
    ) -> Iterator[Matches]:
        """Matches of pairs of frames.

        Args:
            motions: guesses of the clip's motion, each a homography to the reference frame for every frame.
            pairs: :attr:`pairs`, and maybe more.
        """
        area = float(self.layer.areas_px[list(self.layer.visible)].mean())
        stride_px = max(2.0, math.sqrt(area * len(self.pairs) / _SAMPLES))

        def match(job: tuple[int, int]) -> Matches:
            a, b = job
            return self._compared(a, b, [np.linalg.inv(motion[b]) @ motion[a] for motion in motions], stride_px)

        compared = list(pairs)
        if self.layer.flow is not None:
            near = [(a, b) for a, b in pairs if b - a <= self.offsets[-1]]
            for found in self._followed(near, stride_px):
                if _is_enough(found):
                    compared.remove((found.frame_a, found.frame_b))
                    yield found
        yield from map_ordered(match, compared)

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Frames at all distances that show the layer."""
        seen = set(self.layer.visible)
        return [(a, a + offset) for offset in self.offsets for a in self.layer.visible if a + offset in seen]


def _is_enough(found: Matches) -> bool:
    return len(found.points_a) >= _ENOUGH


def _within(positions: Positions, size: Size) -> Bool[np.ndarray, "height width"]:
    x, y = positions[..., 0], positions[..., 1]
    return (x >= 0) & (y >= 0) & (x <= size.width - 1) & (y <= size.height - 1)
