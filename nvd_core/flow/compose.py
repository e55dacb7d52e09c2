"""Flow over many frames, composed of flow over few: points are followed, and reached around what hides them.

The long-range rule of RNA (Lee et al., ACCV 2024): where a point is in a frame is the mean over the frames before it
that show the point, of where flow from each leads. A point that something passes before is lost in the frames
between, and found again by flow that goes past them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.flow.dis import FlowPx, is_consistent
from nvd_core.resample import resample

Points = Float32[np.ndarray, "point 2"]

_COLUMNS = 1024
"""Points are looked up in rows of so many: OpenCV takes none longer than 32767."""


@runtime_checkable
class Pairs(Protocol):
    """Flow at some distances in frames."""

    @property
    def distances(self) -> tuple[int, ...]: ...  # noqa: D102
    def pair(self, a: int, b: int) -> tuple[FlowPx, FlowPx]:
        """From frame ``a`` to ``b``, one of the distances later, and back, px; NaN where it is unknown."""
        ...


class Start(NamedTuple):
    """Points (x, y) in a frame, px, and the last frame that they are to be followed to."""

    frame: int
    points: Points
    until: int


class Reached(NamedTuple):
    """Where the points of a start are in a later frame, px, and which of them are seen there."""

    start: int
    frame: int
    points: Points
    seen: Bool[np.ndarray, " point"]


def follow(
    flow: Pairs, shown: Callable[[int], Bool[np.ndarray, "height width"]], starts: Sequence[Start]
) -> Iterator[Reached]:
    """Follow points from where they start, through every frame.

    Args:
        flow: over few frames.
        shown: the pixels of a frame that show what the points lie on.
        starts: of the points, no two in one frame.

    Yields:
        For each frame in turn, where the points of each start are that are to be followed so far.
    """
    trails: dict[int, deque[tuple[Points, Bool[np.ndarray, " point"]]]] = {}
    by_frame = {start.frame: start for start in starts}
    for t in range(min(by_frame, default=0), 1 + max((start.until for start in starts), default=-1)):
        there = shown(t)
        moves = {far: flow.pair(t - far, t) for far in flow.distances if t >= far and trails}
        for begin, trail in list(trails.items()):
            if by_frame[begin].until < t:
                del trails[begin]
                continue
            points, found = _onward(moves, trail)
            seen = found & _at(there, points)
            trail.append((points, seen))
            yield Reached(begin, t, points, seen)
        if t in by_frame:
            first = by_frame[t].points
            trails[t] = deque([(first, _at(there, first))], maxlen=max(flow.distances))


def _onward(
    moves: Mapping[int, tuple[FlowPx, FlowPx]], trail: Sequence[tuple[Points, Bool[np.ndarray, " point"]]]
) -> tuple[Points, Bool[np.ndarray, " point"]]:
    """The next place of points that were seen in some of the last frames: the mean of where flow from those leads."""
    total, many = np.zeros_like(trail[-1][0]), np.zeros(len(trail[-1][0]), np.float32)
    for far, (there, back) in moves.items():
        if far > len(trail):
            continue
        points, seen = trail[-far]
        move = looked_up(there, points)
        moved = points + np.nan_to_num(move)
        sure = seen & is_consistent(move[None], looked_up(back, moved)[None])[0]
        total += np.where(sure[:, None], moved, 0)
        many += sure
    found = many > 0
    return np.where(found[:, None], total / np.maximum(many, 1)[:, None], trail[-1][0]), found


def looked_up(field: FlowPx, points: Points) -> Points:
    """Flow at points, bilinear."""
    padded = np.zeros((-(-len(points) // _COLUMNS) * _COLUMNS, 2), np.float32)
    padded[: len(points)] = points
    x, y = (np.ascontiguousarray(padded[:, axis]).reshape(-1, _COLUMNS) for axis in (0, 1))
    return resample(field, x, y).reshape(-1, 2)[: len(points)] if len(points) else np.zeros((0, 2), np.float32)


def _at(mask: Bool[np.ndarray, "height width"], points: Points) -> Bool[np.ndarray, " point"]:
    """Whether points lie inside the picture on pixels that are set."""
    height, width = mask.shape
    column, row = np.rint(points).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    return inside & mask[np.where(inside, row, 0), np.where(inside, column, 0)]


def inverted(flow_px: FlowPx) -> FlowPx:
    """The flow back, by splatting every pixel's flow to where it leads; NaN where nothing arrives.

    Where two surfaces arrive, it is a mean of both and agrees with neither: it does not say which one is in front.
    """
    height, width = flow_px.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    known = np.isfinite(flow_px).all(axis=-1)
    move = flow_px[known].astype(np.float64)
    at = np.stack([x[known], y[known]], axis=-1) + move
    corner = np.floor(at)
    part = at - corner
    total = np.zeros((height * width, 3))
    for right in (0, 1):
        for below in (0, 1):
            weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if below else 1 - part[:, 1])
            column, row = corner[:, 0] + right, corner[:, 1] + below
            keep = (column >= 0) & (row >= 0) & (column < width) & (row < height) & (weight > 0)
            place, weight = (row[keep] * width + column[keep]).astype(int), weight[keep]
            for axis, values in enumerate((*(-move[keep].T), np.ones(len(place)))):
                total[:, axis] += np.bincount(place, weight * values, height * width)
    with np.errstate(invalid="ignore", divide="ignore"):
        back = total[:, :2] / total[:, 2:]
    return back.reshape(height, width, 2).astype(np.float32)
