"""How good a decomposition is.

PSNR is pooled: one mean squared error over all pixels of all frames, display-encoded, peak 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float32, Num

from nvd_core.flow.dis import FlowPx, Grey, dis_flow, is_consistent
from nvd_core.resample import resample

Texels = Float32[np.ndarray, "height width 2"]
"""Atlas position (x, y, down) of every pixel of a frame, in texels."""


@final
@dataclass
class PooledPsnr:
    """Peak signal to noise ratio over everything that was added."""

    squares: float = 0.0
    count: int = 0

    def add(self, a: Num[np.ndarray, "*shape"], b: Num[np.ndarray, "*shape"]) -> None:
        """Compare two display-encoded pictures; values beyond [0, 1] count as clipped."""
        difference = np.clip(a, 0, 1) - np.clip(b, 0, 1)
        self.squares += float(np.square(difference, dtype=np.float64).sum())
        self.count += difference.size

    @classmethod
    def of(cls, a: Num[np.ndarray, "*shape"], b: Num[np.ndarray, "*shape"]) -> PooledPsnr:
        """Of one pair of pictures."""
        pool = cls()
        pool.add(a, b)
        return pool

    def merge(self, other: PooledPsnr) -> None:
        """Take in what another pool has gathered."""
        self.squares += other.squares
        self.count += other.count

    @property
    def decibels(self) -> float:
        """The ratio so far; 99 at most."""
        return min(99.0, -10 * math.log10(self.squares / self.count)) if self.squares else 99.0


def step_flow(here: Grey, there: Grey) -> tuple[FlowPx, Bool[np.ndarray, "height width"]]:
    """Flow from a frame to the next, and where it is consistent forward and backward."""
    forward, backward = dis_flow(here, there), dis_flow(there, here)
    return forward, is_consistent(forward, pull(backward, forward))


def uv_flow_error_px(
    here: Texels, there: Texels, flow_px: FlowPx, inside: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, " pixel"]:
    """How far, in pixels of the frame, UV pass and optical flow disagree on where a point goes.

    Args:
        here: atlas positions of a frame.
        there: of the next frame.
        flow_px: from the frame to the next.
        inside: pixels to measure.
    """
    miss = (pull(there, flow_px) - here)[inside]
    (xx, yx), (xy, yy) = (np.moveaxis(slope[inside], -1, 0) for slope in _slopes(here))
    area = xx * yy - xy * yx
    fine = np.abs(area) > 1e-4
    solved = np.stack([yy * miss[:, 0] - xy * miss[:, 1], xx * miss[:, 1] - yx * miss[:, 0]], axis=-1)
    return np.linalg.norm(solved[fine] / area[fine, None], axis=-1)


def folded(texels: Texels) -> Bool[np.ndarray, "height width"]:
    """Pixels where the map turns the surface inside out."""
    along_x, along_y = _slopes(texels)
    return along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0] <= 0


def mask_iou(a: Float32[np.ndarray, "..."], b: Float32[np.ndarray, "..."]) -> float:
    """Intersection over union at 0.5; 1 for two empty masks."""
    first, second = a > 0.5, b > 0.5
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _slopes(texels: Texels) -> tuple[Texels, Texels]:
    """Change of the atlas position from each pixel to the next one right and the next one down."""
    along_x = np.diff(texels, axis=1, append=texels[:, -1:])
    along_y = np.diff(texels, axis=0, append=texels[-1:])
    along_x[:, -1], along_y[-1] = along_x[:, -2], along_y[-2]
    return along_x, along_y


def pull(
    picture: Float32[np.ndarray, "height width *chan"], flow_px: FlowPx
) -> Float32[np.ndarray, "height width *chan"]:
    """A picture of the next frame, seen from this one."""
    height, width = flow_px.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return resample(picture, x + flow_px[..., 0], y + flow_px[..., 1])
