"""Step 2: a reference frame, and one homography a frame that leads to it.

Motion is chained from frame to frame. Where the chain breaks (the object was hidden) or drifts,
features found again in the reference frame replace it, frame by frame, wherever they explain the
picture better.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Float, Float32

from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.imaging import pixel_grid, transform, translation
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.matches import Matches, Registrar
from nvd_core.lattice.photometry import Picture, photo_error
from nvd_core.parallel import map_ordered
from nvd_core.steps import gathered, spread

Homography = Float[np.ndarray, "3 3"]

_MIN_MATCHES: Final = 12
_FEATURES: Final = 1500
_SOUGHT: Final = 20
"""In about this many frames features are sought."""

_RATIO: Final = 0.8
"""Lowe's ratio test: the best descriptor must be this much nearer than the second."""


_DEEPEST: Final = 8.0
"""Across a layer, depth may vary by this factor: beyond it a homography is taken for a mistake."""


_SAME: Final = 0.25
"""Frames whose views are less than this part of a frame apart show the same."""


class Step(NamedTuple):
    """Motion from a frame to the next that shows the layer, under two models."""

    homography: Homography
    similarity: Homography


Motion = tuple[Homography, ...]
"""For every frame, the homography to the reference frame, working px."""


@final
@dataclass(frozen=True)
class Start:
    """What the least squares begin with.

    Attributes:
        reference: the frame whose pixels are the layer's coordinates.
        motions: three guesses of the way there: chained homographies, chained similarities (which
            cannot shear away), and the best way found for each frame alone. Which one is right shows
            when matches are at hand: see :func:`most_agreeing`.
    """

    reference: int
    motions: tuple[Motion, ...]


def find_steps(registrar: Registrar) -> Generator[float, None, list[Step]]:
    """Motion from each frame that shows the layer to the next one that does."""
    pairs = _consecutive(registrar.layer.visible)
    return (yield from gathered(map_ordered(lambda pair: _step(registrar, *pair), pairs), len(pairs)))


def find_start(layer: LayerView, steps: Sequence[Step]) -> Generator[float, None, Start]:
    """Chain, choose the reference frame, and mend the chain with features."""
    free = chained(layer.visible, [step.homography for step in steps])
    stiff = chained(layer.visible, [step.similarity for step in steps])
    reference = choose_reference(layer, free if layer.fills_frame else stiff)
    yield 0.1
    features = yield from spread(_features_found_again(layer, reference), 0.1, 0.4)
    mended = yield from spread(_mended(layer, steps, reference, features), 0.5, 0.5)
    return Start(reference, tuple(_to_reference(layer, reference, motion) for motion in (free, stiff, mended)))


def most_agreeing(layer: LayerView, start: Start, matches: Sequence[Matches]) -> Motion:
    """The guess that the matches contradict least, of those that keep the layer before the horizon."""

    def contradiction(motion: Motion) -> float:
        missed = np.concatenate([np.zeros(0), *(_missed_px(motion, match) for match in matches)])
        return float(missed.mean()) if missed.size else 0.0

    firm = [motion for motion in start.motions if all(_is_firm(layer, t, motion[t]) for t in layer.visible)]
    return min(firm or start.motions, key=contradiction)


def seen_again(layer: LayerView, start: Start, beyond: int) -> list[tuple[int, int]]:
    """For each frame the one that shows most of the same, of those more than so many frames later."""
    motion = start.motions[-1]
    whole = np.array([layer.size.width, layer.size.height])
    corners = {t: transform(np.linalg.inv(motion[t]), _corners(layer, start.reference)) for t in layer.visible}
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
    """Whether a homography sees all of the layer from before, not mirrored and nowhere blown up without bound."""
    depth = _corners(layer, t) @ matrix[2, :2] + matrix[2, 2]
    if depth.min() * depth.max() <= 0 or np.linalg.det(matrix) * depth[0] <= 0:
        return False
    return bool(np.abs(depth).max() < _DEEPEST * np.abs(depth).min())


def _missed_px(motion: Motion, match: Matches) -> Float[np.ndarray, " match"]:
    between = np.linalg.inv(motion[match.frame_b]) @ motion[match.frame_a]
    predicted = transform(between, match.points_a[::8].astype(np.float64))
    return np.minimum(np.linalg.norm(predicted - match.points_b[::8], axis=1), 20)


def _to_reference(layer: LayerView, reference: int, motion: dict[int, Homography]) -> Motion:
    """The same motion towards the reference frame; hidden frames move with the nearest one that is not."""
    nearest = [min(layer.visible, key=lambda seen, t=t: abs(seen - t)) for t in range(layer.count)]
    return tuple(np.linalg.inv(motion[reference]) @ motion[t] for t in nearest)


def _consecutive(frames: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(frames))


def _step(registrar: Registrar, a: int, b: int) -> Step:
    layer = registrar.layer
    guess = np.eye(3) if layer.fills_frame else translation(_centre(layer, b) - _centre(layer, a))
    found = registrar.between(a, b, [guess], 3.0 if layer.areas_px.max() > 3000 else 1.0)
    if len(found.points_a) < _MIN_MATCHES:
        return Step(guess, guess)
    free, _ = cv2.findHomography(found.points_a, found.points_b, cv2.RANSAC, 1.0)
    stiff, _ = cv2.estimateAffinePartial2D(found.points_a, found.points_b, ransacReprojThreshold=1.5)
    similarity = guess if stiff is None else np.vstack([stiff, [0, 0, 1]])
    return Step(free if free is not None and _is_firm(layer, a, free) else similarity, similarity)


def _centre(layer: LayerView, t: int) -> Float[np.ndarray, " 2"]:
    left, top, right, bottom = layer.box(t)
    return np.array([left + right, top + bottom]) / 2


def chained(visible: Sequence[int], steps: Sequence[Homography]) -> dict[int, Homography]:
    """Homographies to the first of the frames that show a layer, from those from each to the next."""
    matrices = {visible[0]: np.eye(3)}
    for (a, b), step in zip(_consecutive(visible), steps, strict=True):
        matrices[b] = matrices[a] @ np.linalg.inv(step)
    return matrices


def choose_reference(layer: LayerView, chained: dict[int, Homography]) -> int:
    """The frame that shows most of what all frames show, and shows it large."""
    spacing = max(4, round(math.sqrt(float(layer.areas_px.max()) / 400)))
    points = {t: np.argwhere(layer.inside(t)[::spacing, ::spacing])[:, ::-1] * float(spacing) for t in layer.visible}

    def score(reference: int) -> float:
        inside, size = layer.inside(reference), layer.size
        back = np.linalg.inv(chained[reference])
        shared = 0.0
        for t, seen in points.items():
            column, row = np.rint(np.clip(transform(back @ chained[t], seen), -1, max(size))).astype(int).T
            within = (column >= 0) & (row >= 0) & (column < size.width) & (row < size.height)
            shared += float(inside[row[within], column[within]].sum()) / max(1, len(seen))
        return shared * math.sqrt(float(layer.areas_px[reference]))

    return max(layer.visible, key=score)


def _features_found_again(layer: LayerView, reference: int) -> Generator[float, None, dict[int, Homography]]:
    """Homographies to the reference frame from SIFT features (Lowe, IJCV 2004), where enough agree.

    They are sought in some frames spread over the clip; the chain leads from those to the others.
    """
    sought = layer.visible[:: max(1, len(layer.visible) // _SOUGHT)]
    wanted = _features(layer, reference)
    found = yield from gathered(map_ordered(lambda t: _agreement(_features(layer, t), wanted), sought), len(sought))
    return {t: matrix for t, matrix in zip(sought, found, strict=True) if matrix is not None}


class _Features(NamedTuple):
    points: Float32[np.ndarray, "feature 2"]
    descriptors: Float32[np.ndarray, "feature 128"]


def _features(layer: LayerView, t: int) -> _Features:
    box = layer.box(t).grown(4, layer.size)
    zoom = 1 if layer.fills_frame else 2  # small objects have few features at their own size
    luma = cv2.resize(layer.luma(t)[box.slices], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    core = layer.core(t)[box.slices].astype(np.uint8)
    mask = cv2.resize(core, (luma.shape[1], luma.shape[0]), interpolation=cv2.INTER_NEAREST)
    sift = cv2.SIFT_create(_FEATURES, contrastThreshold=0.02)  # pyright: ignore[reportAttributeAccessIssue]
    found, descriptors = sift.detectAndCompute(luma, mask)
    points = np.array([point.pt for point in found], dtype=np.float32).reshape(-1, 2)
    empty = np.zeros((0, 128), np.float32)
    return _Features((points + 0.5) / zoom - 0.5 + (box.left, box.top), empty if descriptors is None else descriptors)


def _agreement(here: _Features, there: _Features) -> Homography | None:
    if min(len(here.points), len(there.points)) < _MIN_MATCHES:
        return None
    pairs = cv2.BFMatcher().knnMatch(here.descriptors, there.descriptors, k=2)
    good = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    if len(good) < _MIN_MATCHES:
        return None
    source = here.points[[match.queryIdx for match in good]]
    target = there.points[[match.trainIdx for match in good]]
    matrix, agreeing = cv2.findHomography(source, target, cv2.RANSAC, 2.5)
    return matrix if matrix is not None and int(agreeing.sum()) >= _MIN_MATCHES else None


def _mended(
    layer: LayerView, steps: Sequence[Step], reference: int, features: dict[int, Homography]
) -> Generator[float, None, dict[int, Homography]]:
    """For each frame, of the ways that lead to the reference, the one that explains it best.

    The ways: a neighbour's best way after one more step of the chain, and the features found again.
    Outwards from the reference first; then inwards, so that a frame found again mends those before it.
    """
    picture = Picture(
        linear=layer.linear(reference),
        covered=(layer.alpha[reference] > 229).astype(np.float32),
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
        models = steps[first] if layer.fills_frame else steps[first][::-1]
        return [best[neighbour] @ (model if t < neighbour else np.linalg.inv(model)) for model in models]

    outwards = [(order[i], order[i - 1]) for i in range(place + 1, len(order))]
    outwards += [(order[i], order[i + 1]) for i in range(place - 1, -1, -1)]
    for done, (t, neighbour) in enumerate(outwards):
        yield 0.5 * done / len(order)
        consider(t, [*via(t, neighbour), *([features[t]] if t in features else [])])
    for done, (t, neighbour) in enumerate(reversed(outwards)):
        yield 0.5 + 0.5 * done / len(order)
        if neighbour != reference:
            consider(neighbour, via(neighbour, t))
    return best


def _start_error(layer: LayerView, t: int, matrix: Homography, picture: Picture) -> float:
    box = layer.box(t)
    step = max(1, round(math.sqrt(box.size.width * box.size.height / 40_000)))
    where = (slice(box.top, box.bottom, step), slice(box.left, box.right, step))
    positions = transform(matrix, pixel_grid(layer.size)[where].astype(np.float64)).astype(np.float32)
    error = photo_error(layer, t, where, positions, picture)
    return math.inf if math.isnan(error) else error
