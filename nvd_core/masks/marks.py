"""A first mask from a box or a few clicks on a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from nvd_core.conventions import Size
from nvd_core.errors import UsageError

_ROUNDS: Final = 6
_NEAR: Final = 0.012
"""Radius of a click, of the frame's width."""
_ALIKE: Final = 14
"""How far a colour (of 255 in Lab) may be from a click's to be taken for the object at first."""

_HINT: Final = "Write it as box:LEFT,TOP,RIGHT,BOTTOM or as clicks:X,Y;X,Y;out:X,Y, in pixels."


@final
@dataclass(frozen=True)
class Marks:
    """What an artist marked on a frame, px of the plate.

    Attributes:
        box: left, top, right, bottom of a box around the object; None if there are clicks.
        inside: points on the object.
        outside: points that are not.
    """

    box: tuple[float, float, float, float] | None
    inside: tuple[tuple[float, float], ...] = ()
    outside: tuple[tuple[float, float], ...] = ()


def is_marks(text: str) -> bool:
    """Whether a mask's path is none, but marks."""
    return text.startswith(("box:", "clicks:"))


def parse_marks(text: str) -> Marks:
    """``box:LEFT,TOP,RIGHT,BOTTOM`` or ``clicks:X,Y;X,Y;out:X,Y``.

    Raises:
        UsageError: it is not of that form.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "box":
            left, top, right, bottom = (float(number) for number in rest.split(","))
            if left < right and top < bottom:
                return Marks((left, top, right, bottom))
        else:
            points = [
                (one.startswith("out:"), *map(float, one.removeprefix("out:").split(","))) for one in rest.split(";")
            ]
            inside, outside = (tuple((x, y) for out, x, y in points if out == which) for which in (False, True))
            if inside:
                return Marks(None, inside, outside)
    except ValueError:
        pass
    raise UsageError(f"{text!r} marks nothing", hint=_HINT)


def mask_from_marks(
    marks: Marks, frame: UInt8[np.ndarray, "height width 3"], plate: Size
) -> Bool[np.ndarray, "height width"]:
    """The object that was marked (GrabCut, Rother, Kolmogorov and Blake, SIGGRAPH 2004).

    Args:
        marks: in px of the plate.
        frame: at working size.
        plate: size of the plate.

    Raises:
        UsageError: a mark lies outside the frame, or what is marked does not stand out.
    """
    height, width = frame.shape[:2]
    scale = width / plate.width
    trimap = np.full((height, width), cv2.GC_BGD, np.uint8)
    if marks.box is not None:
        left, top, right, bottom = (round(side * scale) for side in _within(marks.box, plate))
        trimap[top:bottom, left:right] = cv2.GC_PR_FGD
    else:
        _check(marks.inside + marks.outside, plate)
        trimap[...] = cv2.GC_PR_BGD
        radius = max(2, round(_NEAR * width))
        trimap[_alike(frame, _pixels(marks.inside, scale))] = cv2.GC_PR_FGD
        for points, what in ((marks.inside, cv2.GC_FGD), (marks.outside, cv2.GC_BGD)):
            for x, y in _pixels(points, scale):
                cv2.circle(trimap, (x, y), radius, what, -1)
    if (trimap == cv2.GC_BGD).all() or not np.isin(trimap, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        raise UsageError(
            "The marks leave no object or nothing around it", hint="Mark it on the frame, with room around it."
        )
    cv2.setRNGSeed(0)  # its colour models start from OpenCV's own numbers
    cv2.grabCut(
        frame[..., ::-1].copy(),
        trimap,
        (0, 0, 0, 0),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        _ROUNDS,
        cv2.GC_INIT_WITH_MASK,
    )
    found = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not found.any():
        raise UsageError("What is marked does not stand out from what is around it", hint="Paint a mask instead.")
    return _touching(found, _pixels(marks.inside, scale))


def _within(box: tuple[float, float, float, float], plate: Size) -> tuple[float, float, float, float]:
    """The part of a box that is on the plate."""
    left, top, right, bottom = box
    if not np.isfinite(box).all() or right <= 0 or bottom <= 0 or left >= plate.width or top >= plate.height:
        said = ",".join(f"{side:g}" for side in box)
        raise UsageError(f"The box {said} is outside the frame, which is {plate}", hint=_HINT)
    return max(0.0, left), max(0.0, top), min(float(plate.width), right), min(float(plate.height), bottom)


def _check(points: Iterable[tuple[float, float]], plate: Size) -> None:
    for x, y in points:
        if not (0 <= x < plate.width and 0 <= y < plate.height):
            raise UsageError(f"The click {x:g},{y:g} is outside the frame, which is {plate}", hint=_HINT)


def _pixels(points: Iterable[tuple[float, float]], scale: float) -> list[tuple[int, int]]:
    return [(int(x * scale), int(y * scale)) for x, y in points]


def _alike(
    frame: UInt8[np.ndarray, "height width 3"], points: list[tuple[int, int]]
) -> Bool[np.ndarray, "height width"]:
    """What has a clicked colour and hangs together with the click."""
    lab = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 1.5), cv2.COLOR_RGB2LAB)
    found = np.zeros((frame.shape[0] + 2, frame.shape[1] + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    for point in points:
        cv2.floodFill(lab, found, point, 0, (2 * _ALIKE, _ALIKE, _ALIKE), (2 * _ALIKE, _ALIKE, _ALIKE), flags)
    return found[1:-1, 1:-1] > 0


def _touching(
    found: Bool[np.ndarray, "height width"], points: list[tuple[int, int]]
) -> Bool[np.ndarray, "height width"]:
    """The parts that were clicked on; with a box, the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    if count <= 2:
        return found
    kept = {labels[y, x] for x, y in points} - {0} or {1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())}
    return np.isin(labels, list(kept))
