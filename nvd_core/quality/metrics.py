"""Metrics of a decomposition: pooled PSNR, UV flow error, fold-overs, mask IoU.

PSNR is pooled: one mean squared error over all pixels of all frames, display-encoded, peak 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float32, Num

from nvd_core.flow.dis import FlowPx, Grey, dis_flow, is_consistent
from nvd_core.image.filters import channel_mean
from nvd_core.image.sample import warp_by_flow

Texels = Float32[np.ndarray, "height width 2"]
"""Atlas position (x, y) of every pixel of a frame, in texels, y down."""


def squared_errors(a: Num[np.ndarray, "*shape 3"], b: Num[np.ndarray, "*shape 3"]) -> Num[np.ndarray, "*shape"]:
    """Squared difference of display-encoded colours, clipped to [0, 1]: mean of the three channels."""
    apart = np.clip(a, 0, 1) - np.clip(b, 0, 1)
    return channel_mean((apart * apart).reshape(1, -1, 3)).reshape(apart.shape[:-1])


@final
@dataclass
class PooledPsnr:
    """Peak signal-to-noise ratio over all pixels added, dB."""

    squares: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, errors: Num[np.ndarray, "*shape"]) -> PooledPsnr:
        """Pool squared errors of pixels."""
        return cls(float(errors.sum(dtype=np.float64)), errors.size)

    def merge(self, other: PooledPsnr) -> None:
        """Add all pairs of another pool."""
        self.squares += other.squares
        self.count += other.count

    @property
    def decibels(self) -> float:
        """PSNR so far, dB; 99 at most."""
        return min(99.0, -10 * math.log10(self.squares / self.count)) if self.squares else 99.0


def step_flow(here: Grey, there: Grey) -> tuple[FlowPx, Bool[np.ndarray, "height width"]]:
    """Optical flow from a frame to the next, px, and its forward-backward cross-check."""
    forward, backward = dis_flow(here, there), dis_flow(there, here)
    return forward, is_consistent(forward, warp_by_flow(backward, forward))


def uv_flow_error_px(
    here: Texels, there: Texels, flow_px: FlowPx, inside: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, " pixel"]:
    """Distance between UV pass and optical flow on where a point goes in the next frame, px of the frame.

    Args:
        here: atlas positions of a frame.
        there: atlas positions of the next frame.
        flow_px: from the frame to the next.
        inside: pixels to measure.
    """
    miss = (warp_by_flow(there, flow_px) - here)[inside]
    (xx, yx), (xy, yy) = (np.moveaxis(slope[inside], -1, 0) for slope in _slopes(here))
    area = xx * yy - xy * yx
    fine = np.abs(area) > 1e-4
    solved = np.stack([yy * miss[:, 0] - xy * miss[:, 1], xx * miss[:, 1] - yx * miss[:, 0]], axis=-1)
    return np.linalg.norm(solved[fine] / area[fine, None], axis=-1)


def folded(texels: Texels) -> Bool[np.ndarray, "height width"]:
    """Mask of the pixels where the map folds over: its Jacobian determinant is not positive."""
    along_x, along_y = _slopes(texels)
    return along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0] <= 0


def mask_iou(a: Float32[np.ndarray, "..."], b: Float32[np.ndarray, "..."]) -> float:
    """Intersection over union of masks thresholded at 0.5; 1 for two empty ones."""
    first, second = a > 0.5, b > 0.5
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _slopes(texels: Texels) -> tuple[Texels, Texels]:
    """Change of the atlas position from each pixel to the next one right and the next one down."""
    along_x = np.diff(texels, axis=1, append=texels[:, -1:])
    along_y = np.diff(texels, axis=0, append=texels[-1:])
    along_x[:, -1], along_y[-1] = along_x[:, -2], along_y[-2]
    return along_x, along_y
