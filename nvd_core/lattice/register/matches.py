"""Step 1, matches: match points of a layer between two frames by cross-checked optical flow.

DIS flow is computed on pictures that show the layer alone (the rest is grey), cropped to it, with the
second frame warped by the motion known so far. So flow stays short for small and fast objects and for
frames far apart (measured: a running dog's atlas turns from a smear into a dog).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.flow.compose import Points, Start
from nvd_core.flow.dis import Grey, dis_flow, fine_flow, is_consistent
from nvd_core.image.filters import blur, even_contrast
from nvd_core.image.geometry import (
    Box,
    Homography,
    Positions,
    is_inside,
    is_on,
    pixel_grid,
    size_of,
    transform,
    translation,
)
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.runtime.parallel import map_ordered
from nvd_core.spec.conventions import Size

_FLOW_AREA_PX: Final = 512 * 288
"""Most pixels of the layer's largest box at flow size."""

_SAMPLES: Final = 700_000
"""Matches in a layer's equations, about; sets the stride."""

_ENOUGH: Final = 12
"""Fewest points tracked along the user's flow; with fewer, DIS flow matches the two frames instead."""

_CONTRAST_PX: Final = 8.0
"""Sigma over which contrast is made even for fine flow, flow px."""

_KEPT: Final = 256
"""Pictures at flow size in the cache."""


class Matches(NamedTuple):
    """Point matches of a layer between two frames, (x, y) in working px."""

    frame_a: int
    points_a: Points
    frame_b: int
    points_b: Points


@final
@dataclass(frozen=True)
class Registrar:
    """Matcher of points between the frames of one layer.

    Attributes:
        layer: the layer, at working size.
        offsets: distances of the frames that are matched. Long ones keep the map from following light
            that travels over a surface (measured on a floor under a moving shadow: +2 dB).
        is_fine: whether flow is found at full size, between pictures of even contrast: for layers that fold.
    """

    layer: LayerView
    offsets: tuple[int, ...]
    is_fine: bool = False

    @cached_property
    def scale(self) -> float:
        """Flow px per working px, at most 1."""
        largest = max((self.layer.box(t).size for t in self.layer.visible), key=lambda size: size.width * size.height)
        return min(1.0, math.sqrt(_FLOW_AREA_PX / (largest.width * largest.height)))

    @cached_property
    def size(self) -> Size:
        """Flow size: that of the whole frame in flow px."""
        return Size(round(self.layer.size.width * self.scale), round(self.layer.size.height * self.scale))

    @cached_property
    def to_flow(self) -> Homography:
        """Homography from working px to flow px; pixel centres of both are at integers."""
        x, y = self.size.width / self.layer.size.width, self.size.height / self.layer.size.height
        return np.array([[x, 0, 0.5 * x - 0.5], [0, y, 0.5 * y - 0.5], [0, 0, 1]])

    @cached_property
    def picture(self) -> Callable[[int], Grey]:
        """Cached :meth:`_drawn`; the cache spans more frames than the longest distance."""
        return lru_cache(_KEPT)(self._drawn)

    def _drawn(self, t: int) -> Grey:
        """Luma of a frame at flow size, grey outside the layer unless the layer fills the frame."""
        luma = cv2.resize(self.layer.luma(t), self.size, interpolation=cv2.INTER_AREA)
        if self.layer.fills_frame and not self.is_fine:
            return luma
        alpha = cv2.resize(self.layer.alpha[t], self.size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        if self.is_fine:
            luma = np.clip(even_contrast(luma.astype(np.float32), alpha, _CONTRAST_PX), 0, 255)
        share = blur(alpha, 1.5)
        return (luma * share + 127 * (1 - share)).astype(np.uint8)

    def between(self, a: int, b: int, guesses: Sequence[Homography], stride_px: float) -> Matches:
        """Match frame ``a`` with frame ``b`` on a grid over the layer.

        Args:
            a: a frame that shows the layer.
            b: another.
            guesses: candidate homographies from ``a`` to ``b``, working px; the one of least L1 difference
                warps ``b`` before flow is computed.
            stride_px: spacing of the grid, working px.
        """
        if self.layer.flow is not None:
            followed = next(self._followed([(a, b)], stride_px))
            if _is_enough(followed):
                return followed
        return self._compared(a, b, guesses, stride_px)

    def _followed(self, pairs: Sequence[tuple[int, int]], stride_px: float) -> Iterator[Matches]:
        """Track points between pairs of frames along the user's flow, through frames that all show the layer."""
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
        """Grid points on the layer in a frame, working px."""
        box, stride = self.layer.box(t), max(1, round(stride_px))
        points = _on_grid(pixel_grid(self.layer.size)[box.slices], stride).reshape(-1, 2)
        return points[self._shown(t, points)]

    def _compared(self, a: int, b: int, guesses: Sequence[Homography], stride_px: float) -> Matches:
        """Match two frames by DIS flow."""
        box = self.crop(a)
        stride = max(1, round(stride_px * self.scale))
        points_b, sure = self._flow(a, b, box, guesses, stride)
        points_a = self.grid_of(box, stride)
        return self.shown(Matches(a, points_a[sure], b, points_b[sure]))

    def shown(self, found: Matches) -> Matches:
        """Keep the matches that lie in the layer's core in both frames."""
        a, points_a, b, points_b = found
        keep = self._shown(a, points_a) & self._shown(b, points_b)
        return Matches(a, points_a[keep], b, points_b[keep])

    def crop(self, t: int) -> Box:
        """The layer's box with a margin, flow px."""
        corners = np.array(self.layer.box(t), dtype=np.float64).reshape(2, 2)
        left, top, right, bottom = transform(self.to_flow, corners).ravel()
        margin = 8 + 0.12 * max(right - left, bottom - top)
        box = Box(int(left), int(top), math.ceil(right), math.ceil(bottom))
        return box.pixels_within(self.size, margin, least=48)

    def grid_of(self, box: Box, stride: int) -> Points:
        """Points of a grid over a box of flow px, working px."""
        in_flow_px = _grid_of(box.size, stride).reshape(-1, 2).astype(np.float64) + np.array([box.left, box.top])
        return transform(np.linalg.inv(self.to_flow), in_flow_px).astype(np.float32)

    def _flow(
        self, a: int, b: int, box: Box, guesses: Sequence[Homography], stride: int
    ) -> tuple[Points, Bool[np.ndarray, " match"]]:
        """Position in frame ``b`` (working px) of a grid over the box in ``a`` (flow px), and its cross-check."""
        source = np.ascontiguousarray(self.picture(a)[box.slices])
        corner = translation(np.array([box.left, box.top]))

        def moved(guess: Homography) -> tuple[float, Homography, Grey]:
            from_box = self.to_flow @ guess @ np.linalg.inv(self.to_flow) @ corner
            picture = cv2.warpPerspective(
                self.picture(b),
                from_box,
                box.size,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return float(cv2.norm(source, picture, cv2.NORM_L1)), from_box, picture

        _, from_box, target = min(map(moved, guesses), key=lambda result: result[0])
        met, sure = self.met(source, target, stride)
        back_to_work = np.linalg.inv(self.to_flow) @ from_box
        return transform(back_to_work, met.reshape(-1, 2).astype(np.float64)).astype(np.float32), sure.ravel()

    def met(
        self, source: Grey, target: Grey, stride: int
    ) -> tuple[Float32[np.ndarray, "row column 2"], Bool[np.ndarray, "row column"]]:
        """Where flow from one picture to another of the same size leads from a grid, px, and its cross-check."""
        flow, size = fine_flow if self.is_fine else dis_flow, size_of(source)
        forward, backward = flow(source, target), flow(target, source)
        forward = _on_grid(forward, stride)
        met = _grid_of(size, stride) + forward
        return met, is_consistent(forward, warp(backward, met, outside=0)) & is_inside(met, size)

    def _shown(self, t: int, points: Points) -> Bool[np.ndarray, " match"]:
        """Whether each point lies in the layer's core in a frame."""
        return is_on(self.layer.core(t), points)

    def matches(self, motions: Sequence[Sequence[Homography]], pairs: Sequence[tuple[int, int]]) -> Iterator[Matches]:
        """Match pairs of frames: along the user's flow where there is one, by DIS flow elsewhere.

        Args:
            motions: candidate motions of the clip, each a homography to the reference frame for every frame.
            pairs: :attr:`pairs`, and maybe more.
        """
        stride_px = self.stride_px(len(pairs) if self.is_fine else len(self.pairs))

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

    def stride_px(self, pairs: int) -> float:
        """Spacing of matches, working px, when so many pairs of frames are matched."""
        area = float(self.layer.areas_px[list(self.layer.visible)].mean())
        return max(2.0, math.sqrt(area * pairs / _SAMPLES))

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Pairs of frames at all offsets that both show the layer: neighbours, and further apart from every second one.

        From the others they would say little more: edits are as good, at a tenth less time for the whole command.
        """
        seen = set(self.layer.visible)
        return [
            (a, a + offset)
            for offset in self.offsets
            for place, a in enumerate(self.layer.visible)
            if a + offset in seen and (offset == 1 or place % 2 == 0)
        ]


def _on_grid(field: Positions, stride: int) -> Float32[np.ndarray, "row column 2"]:
    """Subsample a field with a stride, from the middle of the first cell on."""
    return field[stride // 2 :: stride, stride // 2 :: stride]


def _grid_of(size: Size, stride: int) -> Float32[np.ndarray, "row column 2"]:
    """Positions of a picture's pixels on that grid, px."""
    return _on_grid(pixel_grid(size), stride)


def _is_enough(found: Matches) -> bool:
    return len(found.points_a) >= _ENOUGH
