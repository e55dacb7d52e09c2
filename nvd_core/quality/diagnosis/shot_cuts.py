"""Detect cuts: two shots in one range, which no atlas can hold.

Two frames belong to one shot if some of their content matches, wherever it has moved: by optical flow on pictures
normalised for brightness and contrast, which are robust to flash and fade, or by SIFT features, which match over any
distance and in spite of blur. A cut is a sudden break: no frame just before it matches one just behind it, while
frames on either side match their neighbours. So a flash, a whip pan and boiling texture are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.image.colour import luma8
from nvd_core.image.filters import blur
from nvd_core.image.fit import fit_similarity
from nvd_core.image.geometry import size_of
from nvd_core.image.sample import warp_by_flow
from nvd_core.quality.diagnosis.finding import Diagnosis, spoken
from nvd_core.quality.metrics import step_flow
from nvd_core.runtime.parallel import map_all, map_ordered
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import working_size

Frames = Pictures | Sequence[UInt8[np.ndarray, "height width 3"]] | UInt8[np.ndarray, "frame height width 3"]
Structure = Float32[np.ndarray, "height width"]

_LINES: Final = 90
"""Height at which optical flow compares pictures: motion is short there, and grain averaged out."""

_FOUND_AGAIN: Final = 0.15
"""Smallest part of two frames' structure that matches if they belong to one shot."""

_FEATURE_LINES: Final = 216
_FEATURES: Final = 800
_AGREEING: Final = 15
_SPREAD: Final = 0.1
"""Fewest inliers of a similarity, and the least area of their hull in squares of the picture's height, if two frames
belong to one shot; a logo does not cover as much."""

_LARGEST_ZOOM: Final = 2.5

_FLASH: Final = 3
"""Most frames of a flash or a dropped picture."""

_EMPTY: Final = 0.05
"""Least part of a frame with structure; a frame with less is black, white or fog."""

_DARK: Final = 16
"""Largest value, of 255, of rows and columns that are black bars in every frame."""

_LEAST_BETWEEN: Final = 32
"""Fewest rows or columns of a shrunk picture between bars; a small bright thing on black has no bars."""


def find_cuts(frames: Frames, progress: Progress = SILENT) -> list[int]:
    """Find the index of the first frame of every shot but the first.

    Args:
        frames: of the whole range, 8-bit display-encoded, in order.
        progress: of comparing them.
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

    follows, cuts = map_all(is_shared, list(pairwise(range(len(pictures)))), progress), []
    contrasts = [float(grey.std()) for grey in shrunk]
    for before, behind in _breaks(follows):
        if behind - before > 1 and not all(empty[before + 1 : behind]):
            continue  # several frames in a row match nothing: fast motion
        if (empty[before] and _fades(contrasts[behind:])) or (empty[behind] and _fades(contrasts[before::-1])):
            continue
        across = [(a, b) for a in range(max(0, before - 1), before + 1) for b in range(behind, behind + _FLASH)]
        if not any(is_same(a, b) for a, b in across if b < len(pictures)):
            cuts.append(behind)
    return cuts


def scene_cut(cuts: Sequence[int], numbers: range) -> Iterable[Diagnosis]:
    """Diagnose cuts, with the range of each shot as the cure.

    Args:
        cuts: as :func:`find_cuts` returns them.
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
    """Whether contrast rises slowly from an empty frame: a fade."""
    return contrasts[0] < 0.5 * contrasts[min(2, len(contrasts) - 1)]


def _breaks(follows: Sequence[bool]) -> Iterable[tuple[int, int]]:
    """Yield the last frame before and the first frame behind each run of neighbours that do not match."""
    before = None
    for t, follow in enumerate((*follows, True)):
        if not follow and before is None:
            before = t
        elif follow and before is not None:
            yield before, t
            before = None


def _shrunk(frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "lines columns"]:
    """Luma of a frame at 90 lines."""
    size = working_size(size_of(frame), _LINES)
    return luma8(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def _picture_area(pictures: Sequence[UInt8[np.ndarray, "height width"]]) -> tuple[slice, slice]:
    """Rows and columns of the picture without black bars, whose edges would match in every shot."""
    brightest = np.max(pictures, axis=0) if pictures else np.zeros((1, 1), np.uint8)
    found = []
    for lit in (brightest.max(axis=1) > _DARK, brightest.max(axis=0) > _DARK):
        places = np.flatnonzero(lit)
        area = slice(int(places[0]) + 1, int(places[-1])) if 0 < len(places) < len(lit) else slice(None)
        found.append(area if len(lit[area]) >= _LEAST_BETWEEN else slice(None))
    return found[0], found[1]


def _structure(grey: UInt8[np.ndarray, "height width"]) -> Structure:
    """Normalise a picture: subtract the local mean, divide by the local deviation."""
    picture = grey.astype(np.float32)
    detail = picture - blur(picture, 4)
    return detail / np.sqrt(blur(detail**2, 4) + 9)


def _has_structure(picture: Structure) -> np.ndarray:
    """Mask of the pixels with structure above noise."""
    return blur(picture**2, 3) > 0.2


def _shared(a: Structure, b: Structure) -> float:
    """Part of a picture's structure that matches another's: unmoved, or after a global shift by phase correlation."""
    share = _shared_when_moved(a, b, (0, 0))
    if share >= 0.5:
        return share
    (x, y), _ = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_32F))
    return max(share, _shared_when_moved(a, b, (round(x), round(y))))


def _shared_when_moved(a: Structure, b: Structure, shift: tuple[int, int]) -> float:
    """Part of a picture's structure that matches a shifted other by cross-checked flow and local correlation."""
    motion = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    size, how = a.shape[::-1], cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    moved, within = (cv2.warpAffine(picture, motion, size, flags=how) for picture in (b, np.ones_like(b)))
    here, there = (np.clip(128 + 50 * picture, 0, 255).astype(np.uint8) for picture in (a, moved))
    forward, sure = step_flow(here, there)
    met = warp_by_flow(moved, forward)
    power = [blur(picture, 3) for picture in (a * met, a * a, met * met)]
    alike = power[0] > 0.7 * np.sqrt(power[1] * power[2] + 1e-6)
    shown = (_has_structure(a) | _has_structure(moved)) & (within > 0)
    same = alike & sure & shown
    return np.count_nonzero(same) / max(1, np.count_nonzero(shown)) * min(1.0, 2 * float(within.mean()))


def _features_of(frame: UInt8[np.ndarray, "height width 3"]) -> tuple[np.ndarray, np.ndarray | None]:
    """Detect SIFT key points, in units of the picture's height, and their descriptors."""
    size = working_size(size_of(frame), _FEATURE_LINES)
    grey = luma8(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
    sift = cv2.SIFT_create(_FEATURES, contrastThreshold=0.02)  # pyright: ignore[reportAttributeAccessIssue]
    points, descriptors = sift.detectAndCompute(grey, None)
    return np.array([point.pt for point in points], np.float32).reshape(-1, 2) / size.height, descriptors


def _agree(here: tuple[np.ndarray, np.ndarray | None], there: tuple[np.ndarray, np.ndarray | None]) -> bool:
    """Whether enough features of two frames match under one similarity (RANSAC)."""
    (points_a, a), (points_b, b) = here, there
    if a is None or b is None or min(len(a), len(b)) < _AGREEING:
        return False
    pairs = [best for best, second in cv2.BFMatcher().knnMatch(a, b, k=2) if best.distance < 0.8 * second.distance]
    if len(pairs) < _AGREEING:
        return False
    source, target = points_a[[pair.queryIdx for pair in pairs]], points_b[[pair.trainIdx for pair in pairs]]
    fit = fit_similarity(source, target, 0.02)
    if fit is None or np.count_nonzero(fit.inliers) < _AGREEING:
        return False
    zoom = float(np.hypot(fit.matrix[0, 0], fit.matrix[1, 0]))
    ends = (points[fit.inliers] for points in (source, target))
    spread = min(float(cv2.contourArea(cv2.convexHull(points))) for points in ends)
    return bool(1 / _LARGEST_ZOOM < zoom < _LARGEST_ZOOM and spread > _SPREAD)
