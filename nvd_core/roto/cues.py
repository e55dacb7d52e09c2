"""Segmentation cues: motion against the camera, and colours that object and surroundings showed at a place before.

Every cue is log odds: positive for the object, negative for its surroundings, 0 where it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, final

import numpy as np
from jaxtyping import Float32, Int, UInt8
from scipy.ndimage import gaussian_filter

from nvd_core.flow.dis import FlowPx
from nvd_core.image.fit import fit_flow

Odds = Float32[np.ndarray, "row column"]

_NOISE_PX: Final = 0.7
"""Least error of optical flow, px."""
_BENDS: Final = 0.25
"""Deviation of an object that bends from its affine motion, relative to its speed."""
_LEAST_SPREAD_PX: Final = 0.5
"""Least spread of an object's motion about its affine fit, px; with 0.3 px a dog behind trees loses 0.03 IoU."""
_STILL_PX: Final = 2.0
"""Speed below which motion says less, by the square."""
_AGAINST: Final = 2.0
_FOR: Final = 1.0
"""Bounds of the motion cue: rest speaks louder against the object than motion for it: water and shadows move, too."""

_BINS: Final = 14
"""Bins along each of L, a and b."""
_CELL: Final = 32
"""Side of a spatial cell of the histograms, px."""
_CHROMA: Final = 96
"""Chroma (of 128) that the histogram's bins reach to."""


def motion_odds(motions: Mapping[int, FlowPx], likely: Float32[np.ndarray, "row column"]) -> Odds:
    """Log odds that each pixel moves as the object does rather than as the camera does.

    The object's motion is an affine fit to its likely pixels. Where a pixel is occluded before or after, its optical
    flow is wrong on that side of time, so the side with the lower odds counts.

    Args:
        motions: optical flow relative to the camera's motion, by offset in frames, px; NaN where it is unknown.
        likely: probability that each pixel is the object's.
    """
    sides = []
    for is_side in (lambda offset: offset > 0, lambda offset: offset < 0):
        odds = [_odds(motion, likely) for offset, motion in motions.items() if is_side(offset)]
        ranked = np.sort(np.array([one for one in odds if one is not None]), axis=0)
        if len(ranked):
            # Feet stand still for a while: the offsets that show most motion count.
            sides.append(ranked[-(len(ranked) + 1) // 2 :].mean(axis=0))
    if not sides:
        return np.zeros_like(likely)
    return np.minimum.reduce(sides).astype(np.float32)


def _odds(motion: FlowPx, likely: Float32[np.ndarray, "row column"]) -> Odds | None:
    """Log odds at one offset; None if no affine motion can be fitted."""
    own = fit_flow(motion, likely, 1, least_px=_LEAST_SPREAD_PX, rounds=6)
    if own is None:
        return None
    expected, spread = own[0], max(_LEAST_SPREAD_PX, own[1])
    speed2 = (expected**2).sum(axis=-1)
    still = (motion**2).sum(axis=-1) / (_NOISE_PX**2 + 0.02 * speed2)
    along = ((motion - expected) ** 2).sum(axis=-1) / (_NOISE_PX**2 + _BENDS**2 * speed2 + spread**2)
    telling = np.minimum(1, speed2 / _STILL_PX**2)
    return np.clip(np.nan_to_num((still - along) / 2), -_AGAINST * telling, _FOR * telling).astype(np.float32)


class _Bins(NamedTuple):
    """Joint bin of place and colour of every pixel, and the histogram's shape."""

    places: Int[np.ndarray, " pixel"]
    shape: tuple[int, ...]


@final
class Colours:
    """Colour models of object and surroundings: joint histograms of place and Lab colour."""

    def __init__(self) -> None:
        self._object: np.ndarray | float = 0.0
        self._rest: np.ndarray | float = 0.0
        self._added = 0

    def add(
        self,
        seen: UInt8[np.ndarray, "row column 3"],
        is_object: Float32[np.ndarray, "row column"],
        behind: UInt8[np.ndarray, "row column 3"],
        is_rest: Float32[np.ndarray, "row column"],
    ) -> None:
        """Add another frame to the models, warped to this one by the object's motion and by the camera's.

        Args:
            seen: Lab, warped by the object's motion.
            is_object: mask of the object in ``seen``, 0 to 1.
            behind: Lab, warped by the camera's motion.
            is_rest: mask of the surroundings in ``behind``, 0 to 1.
        """
        self._object = self._object + _counts(_bins(seen), is_object)
        self._rest = self._rest + _counts(_bins(behind), is_rest)
        self._added += 1

    def odds(self, lab: UInt8[np.ndarray, "row column 3"]) -> Odds:
        """Log odds of each pixel's colour in this frame, in Lab."""
        bins, unsure = _bins(lab), 0.05 * self._added
        ours, others = (
            gaussian_filter(counts, (1, 1, 0.7, 0.7, 0.7), truncate=2).ravel()[bins.places] + unsure
            for counts in (self._object, self._rest)
        )
        return log_odds(ours / (ours + others)).reshape(lab.shape[:2])


def _bins(lab: UInt8[np.ndarray, "row column 3"]) -> _Bins:
    """Bin every pixel by place and Lab colour."""
    height, width = lab.shape[:2]
    lightness = lab[..., 0].astype(np.int64) * _BINS // 256
    chroma = np.clip((lab[..., 1:].astype(np.float32) - 128) / (2 * _CHROMA) + 0.5, 0, 0.999)
    red, blue = np.moveaxis((chroma * _BINS).astype(np.int64), -1, 0)
    shape = (height // _CELL + 2, width // _CELL + 2, _BINS, _BINS, _BINS)
    row, column = np.mgrid[:height, :width]
    index = np.ravel_multi_index((row // _CELL, column // _CELL, lightness, red, blue), shape)
    return _Bins(index.ravel(), shape)


def _counts(bins: _Bins, weight: Float32[np.ndarray, "row column"]) -> Float32[np.ndarray, "..."]:
    """Weighted histogram."""
    counts = np.bincount(bins.places, weight.ravel(), int(np.prod(bins.shape)))
    return counts.reshape(bins.shape).astype(np.float32)


def log_odds(probability: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Log odds of a probability, which is clipped to 0.01 to 0.99."""
    sure = np.clip(probability, 0.01, 0.99)
    return np.log(sure / (1 - sure)).astype(np.float32)
