"""Track points over many frames by composing optical flow over few, past short occlusions.

The long-range rule of RNA (Lee et al., ACCV 2024): flow from each of the last frames that show a point predicts its
position, and the mean of the predictions counts. An occluded point is lost in the frames between, and reached again by
flow that spans them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.flow.dis import FlowPx, is_consistent
from nvd_core.image.geometry import is_on, pixel_grid, size_of
from nvd_core.image.sample import at_points

Points = Float32[np.ndarray, "point 2"]


@runtime_checkable
class Pairs(Protocol):
    """Optical flow between frames at some distances."""

    @property
    def distances(self) -> tuple[int, ...]: ...  # noqa: D102
    def pair(self, a: int, b: int) -> tuple[FlowPx, FlowPx]:
        """Optical flow from frame ``a`` to ``b``, one of the distances later, and back, px; NaN where it is unknown."""
        ...


class Start(NamedTuple):
    """Points (x, y) of a frame to track, px, and the last frame to track them to."""

    frame: int
    points: Points
    until: int


class Reached(NamedTuple):
    """Tracked points of a start frame in a later frame, px, and which of them are visible there."""

    start: int
    frame: int
    points: Points
    seen: Bool[np.ndarray, " point"]


def follow(
    flow: Pairs, shown: Callable[[int], Bool[np.ndarray, "height width"]], starts: Sequence[Start]
) -> Iterator[Reached]:
    """Track points through every frame.

    Args:
        flow: over few frames.
        shown: mask of a frame's pixels that show the surface the points lie on.
        starts: points and their ranges, no two in one frame.

    Yields:
        For each frame in turn, the tracked points of each start whose range reaches it.
    """
    trails: dict[int, deque[tuple[Points, Bool[np.ndarray, " point"]]]] = {}
    by_frame = {start.frame: start for start in starts}
    for t in range(min(by_frame, default=0), 1 + max((start.until for start in starts), default=-1)):
        mask = shown(t)
        moves = {far: flow.pair(t - far, t) for far in flow.distances if t >= far and trails}
        for begin, trail in list(trails.items()):
            if by_frame[begin].until < t:
                del trails[begin]
                continue
            points, reached = _predict(moves, trail)
            seen = reached & is_on(mask, points)
            trail.append((points, seen))
            yield Reached(begin, t, points, seen)
        if t in by_frame:
            first = by_frame[t].points
            trails[t] = deque([(first, is_on(mask, first))], maxlen=max(flow.distances))


def _predict(
    moves: Mapping[int, tuple[FlowPx, FlowPx]], trail: Sequence[tuple[Points, Bool[np.ndarray, " point"]]]
) -> tuple[Points, Bool[np.ndarray, " point"]]:
    """Predict points in the next frame: mean over flow from the last frames that show them; also which have any."""
    total, count = np.zeros_like(trail[-1][0]), np.zeros(len(trail[-1][0]), np.float32)
    for far, (there, back) in moves.items():
        if far > len(trail):
            continue
        points, seen = trail[-far]
        move = at_points(there, points)
        moved = points + np.nan_to_num(move)
        sure = seen & is_consistent(move[None], at_points(back, moved)[None])[0]
        total += np.where(sure[:, None], moved, 0)
        count += sure
    reached = count > 0
    return np.where(reached[:, None], total / np.maximum(count, 1)[:, None], trail[-1][0]), reached


def inverted(flow_px: FlowPx) -> FlowPx:
    """Invert optical flow by bilinear forward splatting; NaN where no pixel arrives.

    Where two surfaces arrive, the result is the mean of both and agrees with neither: which one is in front is unknown.
    """
    height, width = flow_px.shape[:2]
    known = np.isfinite(flow_px).all(axis=-1)
    move = flow_px[known].astype(np.float64)
    at = pixel_grid(size_of(flow_px))[known] + move
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
