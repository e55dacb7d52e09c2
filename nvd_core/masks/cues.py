"""What speaks for a pixel being the object's: motion of its own, and colours seen there before.

Every cue is log odds: positive for the object, negative for what is around it, 0 where it cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8
from scipy.ndimage import gaussian_filter

from nvd_core.flow.dis import FlowPx

Odds = Float32[np.ndarray, "row column"]

_NOISE_PX: Final = 0.7
"""What optical flow is off by, at least."""
_BENDS: Final = 0.25
"""Part of its motion by which an object moves otherwise than one piece would."""
_STILL_PX: Final = 2.0
"""Motion below which nothing can be told from it."""
_AGAINST: Final = 2.0
_FOR: Final = 1.0
"""The most that motion says: standing still speaks louder than moving, which water and shadows do, too."""

_BINS: Final = 14
_CELL: Final = 32
_CHROMA: Final = 96
"""Chroma (of 128) that the histogram's bins reach to."""


def motion_odds(motions: Mapping[int, FlowPx], likely: Float32[np.ndarray, "row column"]) -> Odds:
    """How much each pixel moves as the object does rather than as the camera does.

    The object's motion is the affine one that most of its likely pixels agree with. What was hidden before or
    will be hidden later has no true motion on that side of time, so the side that speaks for stillness counts.

    Args:
        motions: by offset in frames, motion against the camera, px; NaN where there is none.
        likely: how likely each pixel is the object's.
    """
    sides = []
    for is_side in (lambda offset: offset > 0, lambda offset: offset < 0):
        odds = [_odds(motion, likely) for offset, motion in motions.items() if is_side(offset)]
        told = np.sort(np.array([one for one in odds if one is not None]), axis=0)
        if len(told):
            # Feet stand still for a while: the distances in time that show most motion are asked.
            sides.append(told[-(len(told) + 1) // 2 :].mean(axis=0))
    if not sides:
        return np.zeros_like(likely)
    return np.minimum.reduce(sides).astype(np.float32)


def _odds(motion: FlowPx, likely: Float32[np.ndarray, "row column"]) -> Odds | None:
    own = _affine_motion(motion, likely)
    if own is None:
        return None
    expected, spread = own
    speed2 = (expected**2).sum(axis=-1)
    still = (motion**2).sum(axis=-1) / (_NOISE_PX**2 + 0.02 * speed2)
    along = ((motion - expected) ** 2).sum(axis=-1) / (_NOISE_PX**2 + _BENDS**2 * speed2 + spread**2)
    telling = np.minimum(1, speed2 / _STILL_PX**2)
    return np.clip(np.nan_to_num((still - along) / 2), -_AGAINST * telling, _FOR * telling).astype(np.float32)


def _affine_motion(motion: FlowPx, likely: Float32[np.ndarray, "row column"]) -> tuple[FlowPx, float] | None:
    """The affine motion of most likely pixels, and how far they are from it; by reweighted least squares."""
    some = (slice(2, None, 4), slice(2, None, 4))
    known = (likely[some] > 0.2) & np.isfinite(motion[some]).all(axis=-1)
    if np.count_nonzero(known) < 12:
        return None
    rows, columns = (4 * index + 2 for index in np.nonzero(known))
    flow, weight = motion[rows, columns].astype(np.float64), likely[rows, columns]
    middle_x, middle_y = columns.mean(), rows.mean()
    scale = max(8.0, columns.std() + rows.std())
    terms = np.stack([np.ones(len(rows)), (columns - middle_x) / scale, (rows - middle_y) / scale], axis=1)
    fit = np.zeros((3, 2))
    fit[0] = np.median(flow, axis=0)
    off = np.linalg.norm(flow - terms @ fit, axis=1)
    for _ in range(6):
        trust = weight / (1 + (off / max(0.5, 1.5 * np.median(off))) ** 2) ** 2
        normal = terms.T @ (trust[:, None] * terms) + np.diag([1e-3, 0.02, 0.02]) * trust.sum()
        fit = np.linalg.solve(normal, terms.T @ (trust[:, None] * flow))
        off = np.linalg.norm(flow - terms @ fit, axis=1)
    height, width = likely.shape
    across, down = (np.arange(width) - middle_x) / scale, (np.arange(height) - middle_y) / scale
    field = fit[0] + across[None, :, None] * fit[1] + down[:, None, None] * fit[2]
    return field.astype(np.float32), max(0.5, float(np.median(off)))


class _Bins(NamedTuple):
    """Which bin of place and colour each pixel is in, and how many there are along each axis."""

    places: Int[np.ndarray, " pixel"]
    shape: tuple[int, ...]


@final
class Colours:
    """How often object and surroundings showed a colour near a place: joint histograms of place and colour."""

    def __init__(self) -> None:
        self._object: np.ndarray | float = 0.0
        self._rest: np.ndarray | float = 0.0
        self._looks = 0

    def add(
        self,
        seen: UInt8[np.ndarray, "row column 3"],
        is_object: Float32[np.ndarray, "row column"],
        behind: UInt8[np.ndarray, "row column 3"],
        is_rest: Float32[np.ndarray, "row column"],
    ) -> None:
        """Learn from another frame, laid on this one as the object moved and as the camera did.

        Args:
            seen: Lab, as the object moved.
            is_object: its mask.
            behind: Lab, as the camera moved.
            is_rest: what is not the object there.
        """
        self._object = self._object + _counts(_bins(seen), is_object)
        self._rest = self._rest + _counts(_bins(behind), is_rest)
        self._looks += 1

    def odds(self, lab: UInt8[np.ndarray, "row column 3"]) -> Odds:
        """Of each pixel of this frame."""
        bins, unsure = _bins(lab), 0.05 * self._looks
        ours, others = (
            gaussian_filter(counts, (1, 1, 0.7, 0.7, 0.7), truncate=2).ravel()[bins.places] + unsure
            for counts in (self._object, self._rest)
        )
        return log_odds(ours / (ours + others)).reshape(lab.shape[:2])


def _bins(lab: UInt8[np.ndarray, "row column 3"]) -> _Bins:
    height, width = lab.shape[:2]
    lightness = lab[..., 0].astype(np.int64) * _BINS // 256
    chroma = np.clip((lab[..., 1:].astype(np.float32) - 128) / (2 * _CHROMA) + 0.5, 0, 0.999)
    red, blue = np.moveaxis((chroma * _BINS).astype(np.int64), -1, 0)
    shape = (height // _CELL + 2, width // _CELL + 2, _BINS, _BINS, _BINS)
    row, column = np.mgrid[:height, :width]
    index = np.ravel_multi_index((row // _CELL, column // _CELL, lightness, red, blue), shape)
    return _Bins(index.ravel(), shape)


def _counts(bins: _Bins, weight: Float32[np.ndarray, "row column"]) -> Float32[np.ndarray, "..."]:
    counts = np.bincount(bins.places, weight.ravel(), int(np.prod(bins.shape)))
    return counts.reshape(bins.shape).astype(np.float32)


def log_odds(probability: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Of a probability, which is never sure."""
    sure = np.clip(probability, 0.01, 0.99)
    return np.log(sure / (1 - sure)).astype(np.float32)


def lab8(picture: UInt8[np.ndarray, "row column 3"]) -> UInt8[np.ndarray, "row column 3"]:
    """CIE Lab of an 8-bit RGB picture, as OpenCV puts it into bytes."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
