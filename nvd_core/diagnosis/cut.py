"""Cuts: two shots in one range, which no atlas can hold.

Two frames belong to one shot if something of the one is found again in the other, wherever it has moved: by optical
flow on pictures without their brightness, which neither flash nor fade deceives, or by features, which find it
however far and blurred it has gone. A cut is where the shot ends at once: nothing before it is found behind it,
though frames on either side follow each other. So a flash, a whip pan and what boils everywhere are none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.clip.colour import luma8
from nvd_core.conventions import Size, working_size
from nvd_core.diagnosis.finding import Diagnosis, spoken
from nvd_core.flow.dis import dis_flow, is_consistent
from nvd_core.metrics import pull
from nvd_core.parallel import map_ordered
from nvd_core.scratch import Pictures

Frames = Pictures | Sequence[UInt8[np.ndarray, "height width 3"]] | UInt8[np.ndarray, "frame height width 3"]
Structure = Float32[np.ndarray, "height width"]

_LINES: Final = 90
"""Pictures are compared at this height: motion is short there, and grain gone."""

_FOUND_AGAIN: Final = 0.15
"""Frames that share this part of what they show belong to one shot."""

_FEATURE_LINES: Final = 216
_FEATURES: Final = 800
_AGREEING: Final = 15
_SPREAD: Final = 0.1
"""So many features that move as one, over this part of the picture, show the same; a logo does not cover as much."""

_LARGEST_ZOOM: Final = 2.5

_FLASH: Final = 3
"""A flash or a dropped picture lasts no more frames than this."""

_EMPTY: Final = 0.05
"""A frame with structure on a smaller part of it is black, white or fog."""

_DARK: Final = 16
"""Rows and columns that are never brighter, of 255, are bars around the picture."""

_LEAST_BETWEEN: Final = 32
"""Bars leave at least so many rows or columns of a shrunk picture; a small bright thing on black has none."""


def find_cuts(frames: Frames) -> Generator[float, None, list[int]]:
    """The index of the first frame of every shot but the first.

    Args:
        frames: of the whole range, 8-bit display-encoded, in order.

    Yields:
        The part that is done, 0 to 1.
    """
    shrunk = list(map_ordered(_shrunk, frames))
    rows, columns = _picture_area(shrunk)
    pictures = [_structure(grey[rows, columns]) for grey in shrunk]
    empty = [float(_has_structure(picture).mean()) < _EMPTY for picture in pictures]

    def is_shared(pair: tuple[int, int]) -> bool:
        a, b = pair
        return (empty[a] and empty[b]) or bool(_shared(pictures[a], pictures[b]) >= _FOUND_AGAIN)

    def is_same(a: int, b: int) -> bool:
        return is_shared((a, b)) or _agree(_features_of(frames[a]), _features_of(frames[b]))

    follows = []
    for one in map_ordered(is_shared, pairwise(range(len(pictures)))):
        follows.append(one)
        yield len(follows) / len(pictures)
    cuts = []
    contrasts = [float(grey.std()) for grey in shrunk]
    for before, behind in _breaks(follows):
        if behind - before > 1 and not all(empty[before + 1 : behind]):
            continue  # nothing follows for a while: that is motion
        if (empty[before] and _fades(contrasts[behind:])) or (empty[behind] and _fades(contrasts[before::-1])):
            continue
        across = [(a, b) for a in range(max(0, before - 1), before + 1) for b in range(behind, behind + _FLASH)]
        if not any(is_same(a, b) for a, b in across if b < len(pictures)):
            cuts.append(behind)
    return cuts


def scene_cut(cuts: Sequence[int], numbers: range) -> Iterable[Diagnosis]:
    """What is said of them.

    Args:
        cuts: as :func:`find_cuts` has them.
        numbers: plate numbers of the frames.
    """
    if not cuts:
        return
    firsts = [0, *cuts]
    ranges = [f"--frames {numbers[a]}-{numbers[b - 1]}" for a, b in pairwise((*firsts, len(numbers)))]
    starts = tuple(numbers[cut] for cut in cuts)
    yield Diagnosis(
        name="scene_cut",
        frames=starts,
        value=len(cuts),
        threshold=1,
        message=f"There is more than one shot: the clip cuts to another at {spoken(starts)}",
        hint=f"Decompose them one by one: {', '.join(ranges[:-1])} and {ranges[-1]}; or cut the strip there.",
    )


def _fades(contrasts: Sequence[float]) -> bool:
    """Whether what follows black comes up slowly."""
    return contrasts[0] < 0.5 * contrasts[min(2, len(contrasts) - 1)]


def _breaks(follows: Sequence[bool]) -> Iterable[tuple[int, int]]:
    """Pairs of frames, the last before and the first behind a place where frames do not follow each other."""
    before = None
    for t, follow in enumerate((*follows, True)):
        if not follow and before is None:
            before = t
        elif follow and before is not None:
            yield before, t
            before = None


def _shrunk(frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "lines columns"]:
    size = working_size(Size(frame.shape[1], frame.shape[0]), _LINES)
    return luma8(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def _picture_area(pictures: Sequence[UInt8[np.ndarray, "height width"]]) -> tuple[slice, slice]:
    """The picture without black bars, whose edges would be found again in every shot."""
    brightest = np.max(pictures, axis=0) if pictures else np.zeros((1, 1), np.uint8)
    found = []
    for lit in (brightest.max(axis=1) > _DARK, brightest.max(axis=0) > _DARK):
        places = np.flatnonzero(lit)
        area = slice(int(places[0]) + 1, int(places[-1])) if 0 < len(places) < len(lit) else slice(None)
        found.append(area if len(lit[area]) >= _LEAST_BETWEEN else slice(None))
    return found[0], found[1]


def _structure(grey: UInt8[np.ndarray, "height width"]) -> Structure:
    """The picture without its brightness and contrast."""
    picture = grey.astype(np.float32)
    detail = picture - cv2.GaussianBlur(picture, (0, 0), 4)
    return detail / np.sqrt(cv2.GaussianBlur(detail**2, (0, 0), 4) + 9)


def _has_structure(picture: Structure) -> np.ndarray:
    return cv2.GaussianBlur(picture**2, (0, 0), 3) > 0.2


def _shared(a: Structure, b: Structure) -> float:
    """Part of what a picture shows that another shows too: held still, or moved as a whole beforehand."""
    share = _shared_when_moved(a, b, (0, 0))
    if share >= 0.5:
        return share
    (x, y), _ = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F))
    return max(share, _shared_when_moved(a, b, (round(x), round(y))))


def _shared_when_moved(a: Structure, b: Structure, shift: tuple[int, int]) -> float:
    motion = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    size, how = a.shape[::-1], cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    moved, within = (cv2.warpAffine(picture, motion, size, flags=how) for picture in (b, np.ones_like(b)))
    here, there = (np.clip(128 + 50 * picture, 0, 255).astype(np.uint8) for picture in (a, moved))
    forward, backward = dis_flow(here, there), dis_flow(there, here)
    met = pull(moved, forward)
    power = [cv2.GaussianBlur(picture, (0, 0), 3) for picture in (a * met, a * a, met * met)]
    alike = power[0] > 0.7 * np.sqrt(power[1] * power[2] + 1e-6)
    shown = (_has_structure(a) | _has_structure(moved)) & (within > 0)
    same = alike & is_consistent(forward, pull(backward, forward)) & shown
    return np.count_nonzero(same) / max(1, np.count_nonzero(shown)) * min(1.0, 2 * float(within.mean()))


def _features_of(frame: UInt8[np.ndarray, "height width 3"]) -> tuple[np.ndarray, np.ndarray | None]:
    """Places, as parts of the picture's height, and descriptors."""
    size = working_size(Size(frame.shape[1], frame.shape[0]), _FEATURE_LINES)
    grey = luma8(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    sift = cv2.SIFT_create(_FEATURES, contrastThreshold=0.02)  # pyright: ignore[reportAttributeAccessIssue]
    points, descriptors = sift.detectAndCompute(grey, None)
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2) / size.height, descriptors


def _agree(here: tuple[np.ndarray, np.ndarray | None], there: tuple[np.ndarray, np.ndarray | None]) -> bool:
    """Whether features of one frame are found in the other, moved as one."""
    (points_a, a), (points_b, b) = here, there
    if a is None or b is None or min(len(a), len(b)) < _AGREEING:
        return False
    pairs = [best for best, second in cv2.BFMatcher().knnMatch(a, b, k=2) if best.distance < 0.8 * second.distance]
    if len(pairs) < _AGREEING:
        return False
    source, target = points_a[[pair.queryIdx for pair in pairs]], points_b[[pair.trainIdx for pair in pairs]]
    motion, agreeing = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=0.02)
    if motion is None or np.count_nonzero(agreeing) < _AGREEING:
        return False
    zoom = float(np.hypot(motion[0, 0], motion[1, 0]))
    ends = (points[agreeing.ravel() > 0] for points in (source, target))
    spread = min(float(cv2.contourArea(cv2.convexHull(points))) for points in ends)
    return bool(1 / _LARGEST_ZOOM < zoom < _LARGEST_ZOOM and spread > _SPREAD)
