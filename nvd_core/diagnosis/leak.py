"""Masks that do not fit: they cover what moves as the background does, or miss what moves as the object does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32

from nvd_core.diagnosis.evidence import NOISE, Case, Look, Step, largest, led_to, left_over, placed, value_at
from nvd_core.diagnosis.finding import Box, Diagnosis

_LEAKING: Final = 0.2
"""A mask that does not fit covers, or misses, this part of what moves as the object does."""

_FRAMES: Final = 0.3
"""And in this part of the frames in which it shows; a foot stands on the ground for a step."""

_APART_PX: Final = 1.5
"""Which of two motions a pixel follows shows where they are so far apart."""

_BETTER: Final = 0.5
_WELL: Final = 2.5 * NOISE
"""A motion explains a pixel that it leaves less different than this, and by this factor less than the other."""

_LEAST_PX: Final = 300
_TOLD: Final = 0.1
"""Nothing is said where fewer pixels than this part of the object show which motion they follow."""

_FOLLOWING: Final = 0.5
"""And where fewer of them follow the motion that the object is taken to have, or fewer of those around it than not the
background's: then these motions are not known."""

_REACH: Final = 0.35
"""What is missed is sought around the mask, as far as this part of the object's size."""

_ALONE: Final = 0.9
"""From this alpha upwards a layer is seen alone."""

_POINTS: Final = 20
"""A motion is that of so many points at least."""

_EDGE_PX: Final = 2
"""Nearer to the mask's edge than this pixels are mixed."""


class Leak(NamedTuple):
    """What fits its mask badly from a frame to the next, as parts of the object's pixels that show how they move.

    Attributes:
        covered: inside the mask, but moving as the background does.
        missed: outside, but moving as the object does.
        box: of what is missed, working px.
    """

    covered: float
    missed: float
    box: Box


def look(step: Step, layer: str) -> Leak | None:
    """None where it does not show: both move alike, or the surface has no texture."""
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
    by_object = (points @ own[:, :2].T + own[:, 2]).astype(np.float32)
    by_place = led_to(before.texels[now.place], now.texels[now.place], points, np.zeros(2, np.float32))
    apart = np.linalg.norm(by_object - by_place, axis=-1) > _APART_PX
    left_by_object, left_by_place = (left_over(before, now, points, led) for led in (by_object, by_place))
    as_place = apart & (left_by_place < np.minimum(_BETTER * left_by_object - NOISE, _WELL))
    as_object = apart & (left_by_object < np.minimum(_BETTER * left_by_place - NOISE, _WELL))
    within = inside[rows, columns]
    stays_seen = value_at(now.alphas[now.place], np.nan_to_num(by_place, nan=-1)) > _ALONE
    as_object &= within | stays_seen  # not where the object moves to
    told, following = (np.count_nonzero(one & within) for one in (as_place | as_object, as_object))
    around = [np.count_nonzero(one & ~within) for one in (as_place, as_object)]
    if told < _TOLD * area or following < _FOLLOWING * told or around[0] < around[1]:
        return None
    missed = placed(as_object & (from_mask[rows, columns] > _EDGE_PX), rows, columns, inside.shape)
    covered = np.count_nonzero(as_place & (from_edge[rows, columns] > _EDGE_PX))
    thing = largest(cv2.morphologyEx(missed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    return Leak(covered / told, thing.area_px / told, thing.box)


def judge(seen: Sequence[Leak | None], case: Case) -> Iterable[Diagnosis]:
    """Of each kind one, where it is that of a good part of the clip."""
    told = {t - 1: leak for t, leak in enumerate(seen) if leak is not None}
    covering = {t: leak for t, leak in told.items() if leak.covered > _LEAKING}
    missing = {t: leak for t, leak in told.items() if leak.missed > _LEAKING}
    if len(told) < _FRAMES * len(case.numbers):
        return
    if len(covering) > _FRAMES * len(told):
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
    if len(missing) > _FRAMES * len(told):
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


def _main_motion(before: Look, now: Look, layer: str) -> Float[np.ndarray, "2 3"] | None:
    """The motion that most of the object agrees on."""
    rows, columns = np.nonzero(before.core(layer))
    points = np.stack([columns, rows], axis=-1).astype(np.float32)[:: max(1, len(rows) // 1500)]
    shift = _centre(now.alphas[layer]) - _centre(before.alphas[layer])
    led = led_to(before.texels[layer], now.texels[layer], points, shift)
    known = np.isfinite(led).all(axis=-1)
    if np.count_nonzero(known) < _POINTS:
        return None
    return cv2.estimateAffine2D(points[known], led[known], ransacReprojThreshold=1.0)[0]


def _centre(alpha: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, " 2"]:
    moments = cv2.moments(alpha)
    return np.array([moments["m10"], moments["m01"]], np.float32) / max(moments["m00"], 1e-6)
