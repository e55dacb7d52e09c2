"""The objects of a clip that move by themselves, found with nothing given.

Some frames are looked at: what moves against the camera there, more than flow errs, is a trace. Traces that
move into each other are one object's trail. Of the longest and strongest trails the outline is drawn in
several frames, and the frame is told in which it is most sure. What is not sure anywhere is no object.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nvd_core.masks.camera import Camera, moved, pixel_grid, sampled
from nvd_core.masks.outline import Motions, Outline, outline

Mask = Bool[np.ndarray, "row column"]

_MOST: Final = 3
"""Objects that are told."""
_LOOKS: Final = 64
"""Frames that are looked at, if the farthest offset of the flow is no farther than from one to the next."""
_TRIES: Final = 16
"""Frames in which the outline of a trail is drawn."""

MOVES, _MOVES_SURELY = 3.0, 6.0
"""Motion, in what flow errs by, that belongs to a trace, and that a fifth of it must reach."""
_SMALLEST: Final = 0.001
"""Part of the frame that a trace fills at least."""
_GAP: Final = 3
"""Looks after which a trail that was not seen again has ended."""
_WEAK: Final = 0.2
"""Part of the strongest trail's weight below which another is not looked into."""
_LARGEST: Final = 0.6
"""Part of the frame that an object fills at most; what fills more is what the camera looks at."""
_CLEAR: Final = 0.12
_STEADY: Final = 0.4
"""What an outline must reach at least, see :class:`Outline`."""
_FAR, _NEARLY = 0.25, 0.5
"""Part of the clip that outlines of one object are apart at least, and of the surest one's worth that others have."""
_ON_SCREEN: Final = 0.7
"""Part of its contrast that stays where it is on the screen, of what is drawn on the screen: a logo."""


class Found(NamedTuple):
    """An object.

    Attributes:
        t: index of the frame in which it is most surely found.
        mask: there, at working size.
        confidence: 0 to 1.
        others: likewise, by frame, far from that one and from each other, and nearly as sure.
    """

    t: int
    mask: Bool[np.ndarray, "height width"]
    confidence: float
    others: Mapping[int, Bool[np.ndarray, "height width"]] = MappingProxyType({})


def find_objects(camera: Camera) -> Generator[float, None, tuple[Found, ...]]:
    """Find what moves against the camera.

    Args:
        camera: the clip.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        The objects, the surest first; none if nothing moves or nothing is sure.
    """
    count = len(camera.frames)
    stride = next((step for step in (1, 2, 4) if count <= step * _LOOKS // 2), 8)
    times = range(0, count, stride)
    trails: list[_Trail] = []
    contrast = np.zeros((*camera.small(0).shape, 2), np.float32)
    for t in times:
        contrast += _contrast(camera, t) / len(times)
        _continue(trails, camera, t, _traces(t, Motions.seen(camera, t)), stride)
        yield 0.6 * (t + 1) / count
    trails = _strongest(trails, camera, contrast)
    found: list[tuple[_Trail, Found]] = []
    for index, trail in enumerate(trails):
        drawn: list[tuple[_Trace, Outline]] = []
        for trace in trail.best(count):
            seen = outline(camera, trace.t, Motions.seen(camera, trace.t), trace.mask)
            drawn += [(trace, seen)] if seen is not None and _is_sure(seen, is_panned=_pans(camera, trace.t)) else []
            yield 0.6 + 0.4 * (index + 0.5) / len(trails)
        best = _best(drawn, count)
        if best is not None and not any(_is_same(trail, best, *other) for other in found):
            found.append((trail, best))
    return tuple(sorted((one for _, one in found), key=lambda one: -one.confidence))


@final
@dataclass(frozen=True)
class _Trace:
    """Something that moves in a frame: where, how much in what flow errs by, and how fast, small px a frame."""

    t: int
    mask: Mask
    strength: float
    speed: Float32[np.ndarray, " 2"]

    @property
    def weight(self) -> float:
        return float(self.mask.mean()) * min(self.strength, 10.0)

    def later(self, camera: Camera, t: int) -> Mask:
        """Where it should be in another frame."""
        shape = self.mask.shape
        scale = np.float32(camera.frames[0].shape[0] / shape[0])
        there = moved(camera.between(t, self.t), pixel_grid(shape) * scale) / scale - self.speed * (t - self.t)
        return sampled(self.mask.astype(np.float32), there, outside=0) > 0.5


@final
class _Trail:
    """Traces of one object."""

    def __init__(self, first: _Trace) -> None:
        self.traces = [first]

    @property
    def weight(self) -> float:
        return sum(trace.weight for trace in self.traces)

    def best(self, count: int) -> list[_Trace]:
        """The strongest of every part of it; if there are such, with frames on both sides, and whole in the frame."""

        def worth(trace: _Trace) -> float:
            return trace.weight * (0.3 if _is_cut(trace.mask) else 1) * (0.3 if _is_last(trace.t, count) else 1)

        parts = min(_TRIES, len(self.traces))
        ends = [len(self.traces) * part // parts for part in range(parts + 1)]
        return [max(self.traces[start:end], key=worth) for start, end in pairwise(ends)]


def _is_cut(mask: Bool[np.ndarray, "row column"]) -> bool:
    """Whether the frame's edge cuts it off."""
    edge = mask.copy()
    edge[1:-1, 1:-1] = False
    return bool(np.count_nonzero(edge) > 0.2 * np.sqrt(np.count_nonzero(mask)))


def _is_last(t: int, count: int) -> bool:
    """Whether what is hidden or uncovered cannot be told, for want of frames on one side."""
    return not 2 <= t < count - 2


def strength_of(motions: Motions) -> Float64[np.ndarray, "row column"] | None:
    """How much a frame's pixels move by themselves, in what flow errs by; None for a frame without neighbours."""
    moves = {
        offset: np.nan_to_num(np.linalg.norm(own, axis=-1) / np.hypot(0.4, 2 * motions.noise_px[offset]))
        for offset, own in motions.own.items()
    }
    sides = [np.sort([one for offset, one in moves.items() if offset * sign > 0], axis=0) for sign in (1, -1)]
    strengths = [side[-(len(side) + 1) // 2 :].mean(axis=0) for side in sides if len(side)]
    # What is hidden on one side of time moves as anything there.
    return np.minimum.reduce(strengths) if strengths else None


def _traces(t: int, motions: Motions) -> list[_Trace]:
    strength = strength_of(motions)
    if strength is None:
        return []
    count, parts, stats, _ = cv2.connectedComponentsWithStats((strength > MOVES).astype(np.uint8))
    nearest = min(motions.own, key=abs)
    found = []
    for part in range(1, count):
        mask = parts == part
        if stats[part, cv2.CC_STAT_AREA] < _SMALLEST * mask.size or np.mean(strength[mask] > _MOVES_SURELY) < 0.2:
            continue
        speed = np.nan_to_num(np.nanmedian(motions.own[nearest][mask], axis=0)) / nearest
        found.append(_Trace(t, mask, float(strength[mask].mean()), speed.astype(np.float32)))
    return found


def _continue(trails: list[_Trail], camera: Camera, t: int, traces: Sequence[_Trace], stride: int) -> None:
    """Add a frame's traces to the trails they continue, or begin new ones."""
    open_trails = [trail for trail in trails if t - trail.traces[-1].t <= _GAP * stride]
    expected = [trail.traces[-1].later(camera, t) for trail in open_trails]
    pairs = sorted(
        ((_overlap(there, trace.mask), i, j) for i, there in enumerate(expected) for j, trace in enumerate(traces)),
        reverse=True,
    )
    taken: set[int] = set()
    for overlap, i, j in pairs:
        if overlap > 0.5 and j not in taken and open_trails[i].traces[-1].t < t:
            open_trails[i].traces.append(traces[j])
            taken.add(j)
    trails += [_Trail(trace) for j, trace in enumerate(traces) if j not in taken]


def _overlap(one: Mask, other: Mask) -> float:
    """Common part, of the smaller one."""
    least = min(np.count_nonzero(one), np.count_nonzero(other))
    return np.count_nonzero(one & other) / least if least else 0.0


def _strongest(trails: list[_Trail], camera: Camera, contrast: Float32[np.ndarray, "row column 2"]) -> list[_Trail]:
    real = [
        trail
        for trail in trails
        if len(trail.traces) >= min(3, len(camera.frames)) and not _is_drawn(trail, camera, contrast)
    ]
    real.sort(key=lambda trail: -trail.weight)
    return [trail for trail in real if trail.weight > _WEAK * real[0].weight][:_MOST]


def _contrast(camera: Camera, t: int) -> Float32[np.ndarray, "row column 2"]:
    smooth = cv2.GaussianBlur(camera.small(t).astype(np.float32), (0, 0), 0.8)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1))], axis=-1)


def _is_drawn(trail: _Trail, camera: Camera, usual: Float32[np.ndarray, "row column 2"]) -> bool:
    """Whether it looks at all times as it does all the time on the screen."""
    shares = []
    for trace in trail.best(len(camera.frames)):
        now = _contrast(camera, trace.t)[trace.mask]
        shares.append(float((now * usual[trace.mask]).sum() / ((now**2).sum() + 1e-6)))
    return bool(np.median(shares) > _ON_SCREEN)


def _is_sure(drawn: Outline, *, is_panned: bool) -> bool:
    """What passes in front of a camera that moves, and is never seen whole, stands there more often than it moves."""
    if is_panned and _is_cut(drawn.mask):
        return False
    return drawn.clear > _CLEAR and drawn.steady > _STEADY and _SMALLEST / 2 < drawn.area < _LARGEST


def _pans(camera: Camera, t: int) -> bool:
    """Whether the camera moves what it sees by more than a twentieth of the frame in some frames."""
    height, width = camera.frames[0].shape[:2]
    middle = np.array([[width / 2, height / 2]], np.float32)
    there = [moved(camera.between(t, int(np.clip(t + step, 0, len(camera.frames) - 1))), middle) for step in (-8, 8)]
    return max(float(np.linalg.norm(place - middle)) for place in there) > 0.05 * width


def _best(drawn: Sequence[tuple[_Trace, Outline]], count: int) -> Found | None:
    """The surest outline, and rather a large one: of what moves as more than one piece, it has more."""
    if not drawn:
        return None

    def worth(one: tuple[_Trace, Outline]) -> float:
        trace, seen = one
        return seen.clear * seen.steady * np.sqrt(seen.area) * (0.5 if _is_last(trace.t, count) else 1)

    ordered = sorted(drawn, key=worth, reverse=True)
    taken: dict[int, Outline] = {}
    for trace, seen in ordered:
        is_far = all(abs(trace.t - t) >= _FAR * count for t in taken)
        if is_far and worth((trace, seen)) >= _NEARLY * worth(ordered[0]):
            taken[trace.t] = seen
    (t, first), *others = taken.items()
    return Found(t, first.mask, _sure(first), {t: seen.mask for t, seen in others})


def _sure(drawn: Outline) -> float:
    return min(1.0, 2.5 * drawn.clear) * drawn.steady


def _is_same(trail: _Trail, found: Found, other: _Trail, other_found: Found) -> bool:
    """Whether two trails are one object's: the mask of one covers most of the other's trace there, or both do."""

    def covers(mask: np.ndarray, t: int, of: _Trail) -> bool:
        traces = [trace for trace in of.traces if trace.t == t]
        return any(
            _overlap(cv2.resize(mask.astype(np.uint8), trace.mask.shape[::-1]) > 0, trace.mask) > 0.5
            for trace in traces
        )

    return covers(found.mask, found.t, other) or covers(other_found.mask, other_found.t, trail)
