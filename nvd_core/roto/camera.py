"""Track the camera by homographies, and measure optical flow relative to its motion.

The camera's motion between neighbouring frames is the homography with the most inliers in their optical flow. To
measure what moves against the camera, frames several steps apart are registered by the chained homographies; the
optical flow that remains between them is the objects' own motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import cv2
import numpy as np
from jaxtyping import UInt8

from nvd_core.flow.dis import FlowPx, Grey, dis_flow
from nvd_core.image.colour import luma8
from nvd_core.image.fit import fit_homography
from nvd_core.image.geometry import Homography, is_inside, pixel_grid, size_of, transform, zoomed
from nvd_core.image.sample import warp
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress

Frames: TypeAlias = Pictures | Sequence[UInt8[np.ndarray, "height width 3"]] | UInt8[np.ndarray, "frame height width 3"]

OFFSETS: Final = (-8, -4, -2, -1, 1, 2, 4, 8)
"""Offsets in frames at which motion against the camera is measured: far ones for slow motion, near ones for what turns
and bends."""

_LINES: Final = 240
"""Most lines of the pictures between which optical flow is computed: the small size."""
_STEP_PX: Final = 8
"""Spacing of the flow vectors that a homography is fitted to, small px."""
_INLIER_PX: Final = 1.5
"""Largest reprojection error of an inlier, small px."""


@final
@dataclass(frozen=True)
class Camera:
    """The camera's motion through a clip, a homography a frame.

    Attributes:
        frames: RGB at working size.
        from_first: for each frame, the homography from the first frame to it, working px.
    """

    frames: Frames
    from_first: tuple[Homography, ...]

    def between(self, start: int, end: int) -> Homography:
        """Homography from one frame to another, working px."""
        return self.from_first[end] @ np.linalg.inv(self.from_first[start])

    def motion_against(self, t: int) -> dict[int, FlowPx]:
        """Optical flow of frame ``t`` relative to the camera's motion, by offset in frames, in px of :meth:`small`.

        NaN where the homography leads out of the other frame; offsets beyond the clip are left out.
        """
        grey = self.small(t)
        motions = {}
        for offset in OFFSETS:
            if not 0 <= t + offset < len(self.frames):
                continue
            to_other = zoomed(self.between(t, t + offset), 1 / self._zoom)
            places = transform(to_other, pixel_grid(size_of(grey)))
            motion = dis_flow(grey, warp(self.small(t + offset), places))
            motion[~is_inside(places, size_of(grey))] = np.nan
            motions[offset] = motion
        return motions

    def small(self, t: int) -> Grey:
        """Luma of frame ``t`` at the size at which optical flow is computed; see :func:`small_luma`."""
        return small_luma(self.frames[t])

    @property
    def _zoom(self) -> float:
        """Working px per px of :meth:`small`."""
        return self.frames[0].shape[0] / self.small(0).shape[0]


def follow_camera(frames: Frames, progress: Progress = SILENT) -> Camera:
    """Track the camera: fit homographies between neighbouring frames and chain them.

    Args:
        frames: RGB at working size.
        progress: of tracking.
    """
    before, path = small_luma(frames[0]), [np.eye(3)]
    zoom = frames[0].shape[0] / before.shape[0]
    for t in progress.track(range(1, len(frames)), len(frames)):
        now = small_luma(frames[t])
        step = zoomed(_fit_homography(dis_flow(before, now)), zoom) @ path[-1]
        path.append(step / step[2, 2])
        before = now
    return Camera(frames, tuple(path))


def small_luma(frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "lines columns"]:
    """Luma of a frame, shrunk to at most 240 lines."""
    height, width = frame.shape[:2]
    lines = min(height, _LINES)
    return cv2.resize(luma8(frame), (round(width * lines / height), lines), interpolation=cv2.INTER_AREA)


def _fit_homography(flow_px: FlowPx) -> Homography:
    """Fit a homography to optical flow by RANSAC; the identity if none fits."""
    grid = np.s_[_STEP_PX // 2 :: _STEP_PX, _STEP_PX // 2 :: _STEP_PX]
    start = pixel_grid(size_of(flow_px))[grid].reshape(-1, 2)
    fit = fit_homography(start, start + flow_px[grid].reshape(-1, 2), _INLIER_PX)
    return np.eye(3) if fit is None else fit.matrix
