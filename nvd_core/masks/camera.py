"""How the camera moved, and what moves against it.

The camera's motion between neighbouring frames is the homography that most of the optical flow agrees
with. To see what moves by itself, frames several steps apart are laid on each other by it; what optical
flow still finds between them is the objects' own motion.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, Num, UInt8

from nvd_core.clip.colour import luma8
from nvd_core.conventions import Size
from nvd_core.flow.dis import FlowPx, Grey, dis_flow
from nvd_core.scratch import Pictures

Frames: TypeAlias = Pictures | Sequence[UInt8[np.ndarray, "height width 3"]] | UInt8[np.ndarray, "frame height width 3"]
Homography: TypeAlias = Float64[np.ndarray, "3 3"]
Points: TypeAlias = Float32[np.ndarray, "*shape 2"]

OFFSETS: Final = (-8, -4, -2, -1, 1, 2, 4, 8)
"""Frames that a frame is compared with. Far ones show slow motion, near ones what turns and bends."""

_LINES: Final = 240
_STEP_PX: Final = 8
_INLIER_PX: Final = 1.5


@final
@dataclass(frozen=True)
class Camera:
    """The camera's motion through a clip.

    Attributes:
        frames: at working size.
        from_first: for each frame the homography that takes pixels of the first frame to it, working px.
    """

    frames: Frames
    from_first: tuple[Homography, ...]

    def between(self, start: int, end: int) -> Homography:
        """What takes a pixel of one frame to where the camera saw the same place in another, working px."""
        return self.from_first[end] @ np.linalg.inv(self.from_first[start])

    def motion_against(self, t: int) -> dict[int, FlowPx]:
        """By offset in frames, how far each pixel of frame ``t`` moved by itself, in px of :meth:`small`.

        It is NaN where the other frame does not see the place, and there is no entry where there is no frame.
        """
        grey = self.small(t)
        found = {}
        for offset in OFFSETS:
            if not 0 <= t + offset < len(self.frames):
                continue
            places = moved(_resized(self.between(t, t + offset), 1 / self._zoom), pixel_grid(grey.shape))
            there = sampled(self.small(t + offset), places)
            motion = dis_flow(grey, there)
            motion[~is_inside(places, grey.shape)] = np.nan
            found[offset] = motion
        return found

    def small(self, t: int) -> Grey:
        """A frame's luma at the size at which motion is looked at."""
        return small_luma(self.frames[t])

    @property
    def _zoom(self) -> float:
        """Working px a small px."""
        return self.frames[0].shape[0] / self.small(0).shape[0]


def follow_camera(frames: Frames) -> Generator[float, None, Camera]:
    """Find the camera's motion.

    Args:
        frames: at working size.

    Yields:
        The part that is done, 0 to 1.
    """
    before, path = small_luma(frames[0]), [np.eye(3)]
    zoom = frames[0].shape[0] / before.shape[0]
    for t in range(1, len(frames)):
        now = small_luma(frames[t])
        step = _resized(_agreed(dis_flow(before, now)), zoom) @ path[-1]
        path.append(step / step[2, 2])
        before = now
        yield t / len(frames)
    return Camera(frames, tuple(path))


def small_luma(frame: UInt8[np.ndarray, "height width 3"]) -> Grey:
    """Luma of a frame at no more than 240 lines."""
    height, width = frame.shape[:2]
    lines = min(height, _LINES)
    return cv2.resize(luma8(frame), (round(width * lines / height), lines), interpolation=cv2.INTER_AREA)


def moved(homography: Homography, points: Points) -> Points:
    """Where a homography takes points."""
    flat = np.ascontiguousarray(points.reshape(-1, 1, 2), np.float32)
    return cv2.perspectiveTransform(flat, homography).reshape(points.shape)


def sampled(
    picture: Num[np.ndarray, "height width *chan"], places: Points, outside: float | None = None
) -> Num[np.ndarray, "rows columns *chan"]:
    """A picture at places; outside it what its edge shows, or ``outside``."""
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    x, y = (np.ascontiguousarray(places[..., axis]) for axis in (0, 1))
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=border, borderValue=outside or 0)


def pixel_grid(shape: tuple[int, ...]) -> Float32[np.ndarray, "height width 2"]:
    """(x, y) of every pixel of a picture."""
    across, down = (np.arange(side, dtype=np.float32) for side in (shape[1], shape[0]))
    return np.stack(np.meshgrid(across, down), axis=-1)


def is_inside(places: Points, shape: tuple[int, ...]) -> Bool[np.ndarray, "*shape"]:
    """Which places lie in a picture."""
    last = np.array([shape[1] - 1, shape[0] - 1], np.float32)
    return np.asarray(((places >= 0) & (places <= last)).all(axis=-1))


def _agreed(flow_px: FlowPx) -> Homography:
    """The homography that most of a flow agrees with; none, if there is no such."""
    size = Size(flow_px.shape[1], flow_px.shape[0])
    across = np.arange(_STEP_PX // 2, size.width, _STEP_PX)
    down = np.arange(_STEP_PX // 2, size.height, _STEP_PX)
    start = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2).astype(np.float32)
    end = start + flow_px[np.ix_(down, across)].reshape(-1, 2)
    cv2.setRNGSeed(0)  # RANSAC draws from OpenCV's own numbers
    found, _ = cv2.findHomography(start, end, cv2.RANSAC, _INLIER_PX)
    return np.eye(3) if found is None else found


def _resized(homography: Homography, zoom: float) -> Homography:
    """The same homography between pictures so many times as large."""
    scale = np.diag([zoom, zoom, 1.0])
    return scale @ homography @ np.linalg.inv(scale)
