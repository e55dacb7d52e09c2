"""Detect masks that do not fit: they cover what moves as the background, or miss what moves as the object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.image.fit import fit_affine
from nvd_core.image.geometry import Box, Homography, transform
from nvd_core.image.sample import at_points
from nvd_core.quality.diagnosis.evidence import (
    NOISE,
    Case,
    FramePair,
    MeasuredFrame,
    largest,
    led_to,
    left_over,
    placed,
)
from nvd_core.quality.diagnosis.finding import Diagnosis

_LEAKING: Final = 0.2
"""Smallest part of the decided pixels that a mask covers wrongly, or misses, in a frame that counts."""

_FRAMES: Final = 0.3
"""Smallest part of the frames that count, for a diagnosis; a foot stands on the ground for a step."""

_APART_PX: Final = 1.5
"""Smallest distance of the two motions at a pixel at which it can be told which one it follows, working px."""

_BETTER: Final = 0.5
_WELL: Final = 2.5 * NOISE
"""A motion explains a pixel if its photometric error is below this, and below that factor of the other motion's."""

_LEAST_PX: Final = 300
_TOLD: Final = 0.1
"""Smallest part of the object's pixels that follow one motion clearly; with fewer, a frame is not judged."""

_FOLLOWING: Final = 0.5
"""Smallest part of those that follow the object's motion; with fewer, or with more around the object that follow it
than the background's, the two motions are not known and the frame is not judged."""

_REACH: Final = 0.35
"""How far around the mask missed pixels are searched, as a part of the object's size."""

_ALONE: Final = 0.9
"""Alpha above which a layer is seen alone."""

_POINTS: Final = 20
"""Fewest tracked points of an object's motion."""

_EDGE_PX: Final = 2
"""Pixels nearer to the mask's edge than this are mixed, and not counted."""


class Leak(NamedTuple):
    """Misfit of a mask between two frames, as parts of the mask's pixels that clearly follow one motion.

    Attributes:
        covered: inside the mask, but moving as the background.
        missed: outside, but moving as the object; the largest connected region.
        box: of that region, working px.
    """

    covered: float
    missed: float
    box: Box


def look(step: FramePair, layer: str) -> Leak | None:
    """Compare each pixel with the object's and the background's motion; None where they cannot be told apart.

    That is where both move alike, or the surface has no texture.
    """
    if step.before is None or layer == step.now.place:
        return None
    before, now = step.before, step.now
    inside = before.alphas[layer] > 0.5
    area = np.count_nonzero(inside)
    own = _main_motion(before, now, layer)
    if area < _LEAST_PX or own is None:
        return None
    from_mask, from_edge = (cv2.distanceTransform(one.astype(np.uint8), cv2.DIST_L2, 5) for one in (~inside, inside))
    near = inside | ((from_mask < _REACH * area**0.5) & (before.alphas[now.place] > _ALONE))
    rows, columns = np.nonzero(near)
    points = np.stack([columns, rows], axis=-1).astype(np.float32)
    by_object = transform(own, points)
    by_place = led_to(before.texels[now.place], now.texels[now.place], points, np.zeros(2, np.float32))
    apart = np.linalg.norm(by_object - by_place, axis=-1) > _APART_PX
    left_by_object, left_by_place = (left_over(before, now, points, led) for led in (by_object, by_place))
    as_place = apart & (left_by_place < np.minimum(_BETTER * left_by_object - NOISE, _WELL))
    as_object = apart & (left_by_object < np.minimum(_BETTER * left_by_place - NOISE, _WELL))
    within = inside[rows, columns]
    stays_seen = at_points(now.alphas[now.place], np.nan_to_num(by_place, nan=-1)) > _ALONE
    as_object &= within | stays_seen  # not where the object will occlude the background
    decided, following = (np.count_nonzero(one & within) for one in (as_place | as_object, as_object))
    around = [np.count_nonzero(one & ~within) for one in (as_place, as_object)]
    if decided < _TOLD * area or following < _FOLLOWING * decided or around[0] < around[1]:
        return None
    missed = placed(as_object & (from_mask[rows, columns] > _EDGE_PX), rows, columns, inside.shape)
    covered = np.count_nonzero(as_place & (from_edge[rows, columns] > _EDGE_PX))
    thing = largest(cv2.morphologyEx(missed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    return Leak(covered / decided, thing.area_px / decided, thing.box)


def judge(seen: Sequence[Leak | None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose at most one mask that covers background and one that misses, if a good part of the frames agree."""
    leaks = {t - 1: leak for t, leak in enumerate(seen) if leak is not None}
    covering = {t: leak for t, leak in leaks.items() if leak.covered > _LEAKING}
    missing = {t: leak for t, leak in leaks.items() if leak.missed > _LEAKING}
    if len(leaks) < _FRAMES * len(case.numbers):
        return
    if len(covering) > _FRAMES * len(leaks):
        share = float(np.median([leak.covered for leak in covering.values()]))
        yield Diagnosis(
            name="mask_covers_background",
            layer=case.layer,
            frames=case.named_frames(covering),
            value=share,
            threshold=_LEAKING,
            message=f"The mask of {case.layer} covers background: {share:.0%} of it moves as the background does",
            hint="Draw it closer to the object; what it covers too much is painted with it.",
        )
    if len(missing) > _FRAMES * len(leaks):
        t = max(missing, key=lambda t: missing[t].missed)
        box = case.plate_box(missing[t].box)
        yield Diagnosis(
            name="mask_misses",
            layer=case.layer,
            frames=case.named_frames(missing),
            value=float(np.median([leak.missed for leak in missing.values()])),
            threshold=_LEAKING,
            message=f"Something beside the mask of {case.layer} moves with it, in frame {case.numbers[t]} {box}",
            hint="If that is a part of it, its shadow or its reflection, let the mask cover it.",
            box=box,
        )


def _main_motion(before: MeasuredFrame, now: MeasuredFrame, layer: str) -> Homography | None:
    """Fit the object's dominant affine motion to points tracked through its map, by RANSAC."""
    rows, columns = np.nonzero(before.core(layer))
    points = np.stack([columns, rows], axis=-1).astype(np.float32)[:: max(1, len(rows) // 1500)]
    shift = _centre(now.alphas[layer]) - _centre(before.alphas[layer])
    led = led_to(before.texels[layer], now.texels[layer], points, shift)
    known = np.isfinite(led).all(axis=-1)
    if np.count_nonzero(known) < _POINTS:
        return None
    fit = fit_affine(points[known], led[known], 1.0)
    return fit and fit.matrix


def _centre(alpha: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, " 2"]:
    """Centroid (x, y) of an alpha, px."""
    moments = cv2.moments(alpha)
    return np.array([moments["m10"], moments["m01"]], np.float32) / max(moments["m00"], 1e-6)
