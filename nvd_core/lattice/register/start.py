"""Step 2, start: choose a reference frame, and estimate one homography to it from every frame.

Homographies are chained from frame to frame: to the first frame that shows the layer, until the reference frame is
chosen. Where the chain breaks (occlusion) or drifts, a homography from SIFT features matched to the reference frame
replaces it, in each frame where its photometric error is lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Float, Float32

from nvd_core.image.fit import fit_homography, fit_similarity
from nvd_core.image.geometry import Homography, is_on, pixel_grid, transform, translation
from nvd_core.lattice.layer import ALONE, LayerView
from nvd_core.lattice.picture.canvas import Canvas
from nvd_core.lattice.picture.photometry import Picture, photo_error
from nvd_core.lattice.register.matches import Matches, Registrar
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.progress import Progress
from nvd_core.spec.conventions import Size

_MIN_MATCHES: Final = 12
_FEATURES: Final = 1500
_SOUGHT: Final = 20
"""Frames in which SIFT features are matched, about; spread over the clip."""

_FEATURES_AREA_PX: Final = 512 * 288
"""Pixels of the layer's box at the size at which features are detected, about, unless that is twice its own."""

_RATIO: Final = 0.8
"""Lowe's ratio test: largest ratio of the best descriptor distance to the second best."""


_DEEPEST: Final = 8.0
"""Largest ratio of depths within a layer; a homography with more is taken for a mistake."""


_SAME: Final = 0.25
"""Largest distance of two frames' corners, as a part of the frame, at which they show the same place."""


class FrameMotion(NamedTuple):
    """Motion from a frame to the next one that shows the layer, working px, under two models."""

    homography: Homography
    similarity: Homography


ClipMotion = tuple[Homography, ...]
"""Homography to the reference frame for every frame, working px."""


@final
@dataclass(frozen=True)
class Initial:
    """Reference frame and initial motion for the least squares.

    Attributes:
        reference: frame whose pixels are the layer's coordinates.
        candidates: chained homographies, chained similarities (which cannot shear away), and for each frame the
            homography of least photometric error. :func:`choose_motion` chooses by matches.
    """

    reference: int
    candidates: tuple[ClipMotion, ...]


def estimate_frame_motions(registrar: Registrar, progress: Progress) -> list[FrameMotion]:
    """Estimate motion from each frame that shows the layer to the next one that does."""
    pairs = list(pairwise(registrar.layer.visible))
    return map_all(lambda pair: _frame_motion(registrar, *pair), pairs, progress)


def estimate_initial(layer: LayerView, motions: Sequence[FrameMotion], progress: Progress) -> Initial:
    """Chain motions from frame to frame, choose the reference frame, and repair the chain with feature matches."""
    finding, mending = progress.split(5, 5)
    free = chained(layer.visible, [motion.homography for motion in motions])
    stiff = chained(layer.visible, [motion.similarity for motion in motions])
    reference = choose_reference(layer, free if layer.fills_frame else stiff)
    features = _features_found_again(layer, reference, finding)
    mended = _mended(layer, motions, reference, features, mending)
    return Initial(reference, tuple(_to_reference(layer, reference, motion) for motion in (free, stiff, mended)))


def choose_motion(layer: LayerView, initial: Initial, matches: Sequence[Matches]) -> ClipMotion:
    """Choose the motion of least mean transfer error at the matches.

    Motions that put the layer beyond the horizon are considered only if all do. Errors are clipped at 20 px.
    """

    def contradiction(motion: ClipMotion) -> float:
        missed = np.concatenate([np.zeros(0), *(_missed_px(motion, match) for match in matches)])
        return float(missed.mean()) if missed.size else 0.0

    firm = [motion for motion in initial.candidates if all(_is_firm(layer, t, motion[t]) for t in layer.visible)]
    return min(firm or initial.candidates, key=contradiction)


def seen_again(layer: LayerView, initial: Initial, beyond: int) -> list[tuple[int, int]]:
    """Pair each frame with the later one of most similar view, more than ``beyond`` frames away (loop closure)."""
    motion = initial.candidates[-1]
    whole = np.array([layer.size.width, layer.size.height])
    corners = {t: transform(np.linalg.inv(motion[t]), _corners(layer, initial.reference)) for t in layer.visible}
    far = [
        (a, min(later, key=lambda b, a=a: np.abs(corners[a] - corners[b]).max()))
        for a in layer.visible
        if (later := [b for b in layer.visible if b > a + beyond])
    ]
    return [(a, b) for a, b in far if (np.abs(corners[a] - corners[b]) < _SAME * whole).all()]


def _corners(layer: LayerView, t: int) -> Float[np.ndarray, "4 2"]:
    left, top, right, bottom = layer.box(t)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)


def _is_firm(layer: LayerView, t: int, matrix: Homography) -> bool:
    """Whether a homography keeps all of the layer before the horizon, unmirrored and of bounded magnification."""
    depth = _corners(layer, t) @ matrix[2, :2] + matrix[2, 2]
    if depth.min() * depth.max() <= 0 or np.linalg.det(matrix) * depth[0] <= 0:
        return False
    return bool(np.abs(depth).max() < _DEEPEST * np.abs(depth).min())


def _missed_px(motion: ClipMotion, match: Matches) -> Float[np.ndarray, " match"]:
    """Transfer error of every eighth match under a motion, px, clipped at 20."""
    between = np.linalg.inv(motion[match.frame_b]) @ motion[match.frame_a]
    predicted = transform(between, match.points_a[::8].astype(np.float64))
    return np.minimum(np.linalg.norm(predicted - match.points_b[::8], axis=1), 20)


def _to_reference(layer: LayerView, reference: int, motion: dict[int, Homography]) -> ClipMotion:
    """Motion towards the reference frame; hidden frames take that of the nearest frame that shows the layer."""
    nearest = [min(layer.visible, key=lambda seen, t=t: abs(seen - t)) for t in range(layer.count)]
    return tuple(np.linalg.inv(motion[reference]) @ motion[t] for t in nearest)


def _frame_motion(registrar: Registrar, a: int, b: int) -> FrameMotion:
    """Fit homography and similarity from a frame to the next by RANSAC on matches; a translation if they are few."""
    layer = registrar.layer
    guess = np.eye(3) if layer.fills_frame else translation(_centre(layer, b) - _centre(layer, a))
    found = registrar.between(a, b, [guess], 3.0 if layer.areas_px.max() > 3000 else 1.0)
    if len(found.points_a) < _MIN_MATCHES:
        return FrameMotion(guess, guess)
    free = fit_homography(found.points_a, found.points_b, 1.0)
    stiff = fit_similarity(found.points_a, found.points_b, 1.5)
    similarity = guess if stiff is None else stiff.matrix
    return FrameMotion(free.matrix if free is not None and _is_firm(layer, a, free.matrix) else similarity, similarity)


def _centre(layer: LayerView, t: int) -> Float[np.ndarray, " 2"]:
    left, top, right, bottom = layer.box(t)
    return np.array([left + right, top + bottom]) / 2


def chained(visible: Sequence[int], motions: Sequence[Homography]) -> dict[int, Homography]:
    """Chain frame-to-frame homographies into homographies to the first frame that shows the layer."""
    matrices = {visible[0]: np.eye(3)}
    for (a, b), motion in zip(pairwise(visible), motions, strict=True):
        matrices[b] = matrices[a] @ np.linalg.inv(motion)
    return matrices


def choose_reference(layer: LayerView, chained: dict[int, Homography]) -> int:
    """Choose the frame that overlaps most with all frames, weighted by the square root of the layer's area in it.

    Args:
        layer: the layer.
        chained: homographies to the first frame that shows it, see :func:`chained`.
    """
    spacing = max(4, round(math.sqrt(float(layer.areas_px.max()) / 400)))
    points = {t: np.argwhere(layer.inside(t)[::spacing, ::spacing])[:, ::-1] * float(spacing) for t in layer.visible}

    def score(reference: int) -> float:
        inside, back, shared = layer.inside(reference), np.linalg.inv(chained[reference]), 0.0
        for t, seen in points.items():
            shared += np.count_nonzero(is_on(inside, transform(back @ chained[t], seen))) / max(1, len(seen))
        return shared * math.sqrt(float(layer.areas_px[reference]))

    return max(layer.visible, key=score)


def _features_found_again(layer: LayerView, reference: int, progress: Progress) -> dict[int, Homography]:
    """Match SIFT features (Lowe, IJCV 2004) to the reference frame; homographies where enough are inliers.

    Some frames spread over the clip are matched; the chain leads from those to the others.
    """
    sampled = layer.visible[:: max(1, len(layer.visible) // _SOUGHT)]
    there = _features(layer, reference)
    fits = map_all(lambda t: _fit_homography(_features(layer, t), there), sampled, progress)
    return {t: matrix for t, matrix in zip(sampled, fits, strict=True) if matrix is not None}


class _Features(NamedTuple):
    """SIFT key points, working px, and their descriptors."""

    points: Float32[np.ndarray, "feature 2"]
    descriptors: Float32[np.ndarray, "feature 128"]


def _features(layer: LayerView, t: int) -> _Features:
    box = layer.box(t).pixels_within(layer.size, margin=4)
    # Small objects have few features at their own size, and large ones enough on a smaller picture.
    zoom = min(2.0, math.sqrt(_FEATURES_AREA_PX / (box.size.width * box.size.height)))
    size = Size(*(max(1, round(side * zoom)) for side in box.size))
    luma = layer.luma(t)[box.slices]
    luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    core = layer.core(t)[box.slices].astype(np.uint8)
    mask = cv2.resize(core, size, interpolation=cv2.INTER_NEAREST)
    sift = cv2.SIFT_create(_FEATURES, contrastThreshold=0.02)  # pyright: ignore[reportAttributeAccessIssue]
    found, descriptors = sift.detectAndCompute(luma, mask)
    points = np.array([point.pt for point in found], dtype=np.float32).reshape(-1, 2)
    empty = np.zeros((0, 128), np.float32)
    points = (points + 0.5) * (np.array(box.size, np.float32) / size) - 0.5 + (box.left, box.top)
    return _Features(points.astype(np.float32), empty if descriptors is None else descriptors)


def _fit_homography(here: _Features, there: _Features) -> Homography | None:
    """Fit a homography to descriptor matches by RANSAC; None with too few inliers."""
    if min(len(here.points), len(there.points)) < _MIN_MATCHES:
        return None
    pairs = cv2.BFMatcher().knnMatch(here.descriptors, there.descriptors, k=2)
    good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    if len(good) < _MIN_MATCHES:
        return None
    source = here.points[[match.queryIdx for match in good]]
    target = there.points[[match.trainIdx for match in good]]
    fit = fit_homography(source, target, 2.5)
    return fit.matrix if fit is not None and np.count_nonzero(fit.inliers) >= _MIN_MATCHES else None


def _mended(
    layer: LayerView,
    motions: Sequence[FrameMotion],
    reference: int,
    features: dict[int, Homography],
    progress: Progress,
) -> dict[int, Homography]:
    """Choose for each frame the homography to the reference of least photometric error.

    Candidates are a neighbour's best one after one more step of the chain, and the one from features.
    Outwards from the reference first; then inwards, so that a feature match repairs the frames before it.
    """
    picture = Picture(
        linear=layer.linear(reference),
        covered=(layer.alpha[reference] > ALONE).astype(np.float32),
        canvas=Canvas((0.0, 0.0), 1.0, layer.size),
    )
    order = layer.visible
    place = order.index(reference)
    best: dict[int, Homography] = {reference: np.eye(3)}
    errors: dict[int, float] = {reference: 0.0}

    def consider(t: int, candidates: Sequence[Homography]) -> None:
        for matrix in sorted(candidates, key=lambda one: not _is_firm(layer, t, one)):
            if t in best and not _is_firm(layer, t, matrix):
                continue
            error = _start_error(layer, t, matrix, picture)
            if t not in best or error < errors[t]:
                best[t], errors[t] = matrix, error

    def via(t: int, neighbour: int) -> list[Homography]:
        first = min(order.index(t), order.index(neighbour))
        models = motions[first] if layer.fills_frame else motions[first][::-1]
        return [best[neighbour] @ (model if t < neighbour else np.linalg.inv(model)) for model in models]

    outwards = [(order[i], order[i - 1]) for i in range(place + 1, len(order))]
    outwards += [(order[i], order[i + 1]) for i in range(place - 1, -1, -1)]
    there, back = progress.split(5, 5)
    for t, neighbour in there.track(outwards, len(outwards)):
        consider(t, [*via(t, neighbour), *([features[t]] if t in features else [])])
    for t, neighbour in back.track(reversed(outwards), len(outwards)):
        if neighbour != reference:
            consider(neighbour, via(neighbour, t))
    return best


def _start_error(layer: LayerView, t: int, matrix: Homography, picture: Picture) -> float:
    """Photometric error of a frame under a homography, on about 40,000 pixels; infinite without overlap."""
    box = layer.box(t)
    step = max(1, round(math.sqrt(box.size.width * box.size.height / 40_000)))
    where = (slice(box.top, box.bottom, step), slice(box.left, box.right, step))
    positions = transform(matrix, pixel_grid(layer.size)[where])
    error = photo_error(layer, t, where, positions, picture)
    return math.inf if math.isnan(error) else error
