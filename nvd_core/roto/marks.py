"""Segment an object from a box or a few clicks on a frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from nvd_core.image.colour import lab8
from nvd_core.image.filters import blur
from nvd_core.image.geometry import Box
from nvd_core.spec.choices import mask_origins
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import UsageError

_ROUNDS: Final = 6
"""Iterations of GrabCut."""
_NEAR: Final = 0.012
"""Radius of a click, relative to the frame's width."""
_ALIKE: Final = 14
"""Largest difference of a and b, of 255, that the flood fill from a click crosses; of L, twice that."""


def mask_from_marks(
    marks: mask_origins.Box | mask_origins.Clicks, frame: UInt8[np.ndarray, "height width 3"], plate: Size
) -> Bool[np.ndarray, "height width"]:
    """Segment the marked object (GrabCut, Rother, Kolmogorov and Blake, SIGGRAPH 2004).

    Args:
        marks: in px of the plate.
        frame: RGB at working size.
        plate: size of the plate.

    Raises:
        UsageError: a mark lies outside the frame, or the object does not stand out.
    """
    height, width = frame.shape[:2]
    scale = width / plate.width
    trimap = np.full((height, width), cv2.GC_BGD, np.uint8)
    if isinstance(marks, mask_origins.Box):
        box = Box(marks.left, marks.top, marks.right, marks.bottom)
        left, top, right, bottom = (round(side * scale) for side in _within(box, plate))
        trimap[top:bottom, left:right] = cv2.GC_PR_FGD
        clicked = []
    else:
        _check(marks.inside + marks.outside, plate)
        trimap[...] = cv2.GC_PR_BGD
        clicked = _pixels(marks.inside, scale)
        radius = max(2, round(_NEAR * width))
        trimap[_flooded(frame, clicked)] = cv2.GC_PR_FGD
        for points, what in ((marks.inside, cv2.GC_FGD), (marks.outside, cv2.GC_BGD)):
            for x, y in _pixels(points, scale):
                cv2.circle(trimap, (x, y), radius, what, -1)
    if (trimap == cv2.GC_BGD).all() or not np.isin(trimap, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        raise UsageError(
            "The marks leave no object or nothing around it", hint="Mark it on the frame, with room around it."
        )
    cv2.setRNGSeed(0)  # GrabCut's colour models start from OpenCV's random numbers
    cv2.grabCut(
        frame[..., ::-1].copy(),
        trimap,
        (0, 0, 0, 0),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        _ROUNDS,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not mask.any():
        raise UsageError("What is marked does not stand out from what is around it", hint="Paint a mask instead.")
    return _clicked(mask, clicked)


def _within(box: Box, plate: Size) -> Box:
    """Clip a box to the plate; refuse one outside it."""
    left, top, right, bottom = box
    if not np.isfinite(box).all() or right <= 0 or bottom <= 0 or left >= plate.width or top >= plate.height:
        said = ",".join(f"{side:g}" for side in box)
        raise UsageError(f"The box {said} is outside the frame, which is {plate}", hint=mask_origins.HINT)
    return box.within(Box(0, 0, *plate))


def _check(points: Iterable[tuple[float, float]], plate: Size) -> None:
    """Refuse points outside the plate."""
    for x, y in points:
        if not (0 <= x < plate.width and 0 <= y < plate.height):
            raise UsageError(f"The click {x:g},{y:g} is outside the frame, which is {plate}", hint=mask_origins.HINT)


def _pixels(points: Iterable[tuple[float, float]], scale: float) -> list[tuple[int, int]]:
    """Pixels of points, at working size."""
    return [(int(x * scale), int(y * scale)) for x, y in points]


def _flooded(
    frame: UInt8[np.ndarray, "height width 3"], points: list[tuple[int, int]]
) -> Bool[np.ndarray, "height width"]:
    """Flood fill of the clicks: connected pixels of similar colour."""
    lab = lab8(blur(frame, 1.5))
    filled = np.zeros((frame.shape[0] + 2, frame.shape[1] + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    for point in points:
        cv2.floodFill(lab, filled, point, 0, (2 * _ALIKE, _ALIKE, _ALIKE), (2 * _ALIKE, _ALIKE, _ALIKE), flags)
    return filled[1:-1, 1:-1] > 0


def _clicked(mask: Bool[np.ndarray, "height width"], points: list[tuple[int, int]]) -> Bool[np.ndarray, "height width"]:
    """Connected components of a mask that were clicked on; the largest, if none was."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count <= 2:
        return mask
    kept = {labels[y, x] for x, y in points} - {0} or {1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())}
    return np.isin(labels, list(kept))
