"""Propagate masks of single frames, the key frames, to every frame of the clip.

The object is tracked from a key frame to its neighbour, and on from there. Templates are earlier frames with known
masks: recent ones, some further back, and the key frame. Each is warped to the new frame twice, by the object's motion
and by the camera's. Pixels that match the object, have its colours and move as it does are the object's; a graph cut
draws the outline. Old templates are kept, so an object that was occluded is recognised when it returns. Only the key
frame's mask is certain, so it weighs most wherever the object still matches it: errors of propagated masks do not
accumulate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.flow.dis import FlowPx, dis_flow
from nvd_core.image.colour import lab8, luma8
from nvd_core.image.filters import blur
from nvd_core.image.fit import fit_similarity
from nvd_core.image.geometry import Box, Homography, Points, is_inside, pixel_grid, size_of, transform, translation
from nvd_core.image.sample import warp
from nvd_core.roto.cache import Kept, Outline
from nvd_core.roto.camera import Camera
from nvd_core.roto.cues import Colours, Odds, log_odds, motion_odds
from nvd_core.roto.graph_cut import cut
from nvd_core.roto.window import Cutout, Window, around, look
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import Size

_BACK: Final = (1, 2, 4, 8, 16)
"""Ages in frames of the templates that a frame is matched against, besides the key frame."""

_SIDE: Final = 160
"""Points along the object's longer side at most: the outline is refined later, at the plate's size."""

_MARGIN: Final = 0.3
"""Margin of the window around the object, relative to its longer side."""

_ALIKE: Final = 12.0
"""Colour difference, of 255, at which the likelihood of a match falls to 1/e."""

_UNSEEN: Final = 0.03
"""Added to both match likelihoods: a pixel that matches neither object nor surroundings decides nothing."""
_FAR_PX: Final = 10.0
"""Blur of the expected mask, window steps, beyond whose reach no pixel is the object's."""
_SEARCH: Final = 0.4
"""Search radius of template matching, relative to the object's longer side."""

_VISIBLE: Final = 0.1
"""Least visible part of the key frame's area: below it the object counts as occluded and gives no template."""

_NOTHING: Final = Cutout.of(np.zeros((1, 1), np.float32))
"""The empty mask of an object that is occluded or out of frame."""

_PLACE, _COLOUR, _MATCH, _MOTION = 0.6, 0.8, 1.0, 1.5
"""Weights of the cues' log odds: expected place, colour, match with the templates, motion against the camera."""

_STANDS: Final = -2.0
_DOUBTED: Final = 0.8
"""Weighted log odds of motion below which an object's pixel is in doubt, and its confidence in the template then."""


Tracker = Callable[[Camera, Mapping[int, Cutout], int, int], Iterator[Cutout]]
"""Tracker of one object, in one direction.

Arguments: the clip; the object's masks by frame index, of the frame to start from and of the key frame at the other
end, if there is one; the frame index to start from; the direction, 1 or -1. Yields the masks of the frames after the
first, in that direction.
"""


def propagate(camera: Camera, keys: Mapping[int, Cutout], follow: Tracker, progress: Progress = SILENT) -> list[Cutout]:
    """Propagate masks of single frames to every frame of the clip.

    Args:
        camera: the clip, with its camera's motion.
        keys: masks of the key frames, by frame index; they stay as they are. Frames between two key frames are
            tracked from both and interpolated. An empty mask says that the object is hidden in that frame alone.
        follow: the tracker.
        progress: of tracking.

    Returns:
        A mask for every frame; empty where the object is hidden.
    """
    count, starts = len(camera.frames), sorted(t for t, key in keys.items() if key.bounds)
    tracked: dict[int, list[tuple[float, Cutout]]] = {}
    if not starts:
        return [keys.get(t, _NOTHING) for t in range(count)]
    legs = [(starts[0], -1, -1), (starts[-1], count, 1)]
    for left, right in pairwise(starts):
        legs += [(left, right, 1), (right, left, -1)]
    done, total = 0, sum(abs(end - start) - 1 for start, end, _ in legs)
    for start, end, step in legs:
        is_between, ends = end in keys, {t: keys[t] for t in (start, end) if t in keys}
        for t, mask in zip(range(start + step, end, step), follow(camera, ends, start, step), strict=False):
            weight = abs(end - t) / abs(end - start) if is_between else 1.0
            tracked.setdefault(t, []).append((weight, mask))
            done += 1
            progress(done / total)
    return [keys[t] if t in keys else _interpolated(tracked[t]) for t in range(count)]


@final
@dataclass(frozen=True)
class _Template:
    """Appearance template: a frame in which the object's mask is known.

    Attributes:
        t: frame index.
        mask: the object's, 0 to 1 by confidence.
        pose: similarity from the object in the key frame to the object here, working px.
        frame: RGB at working size.
    """

    t: int
    mask: Cutout
    pose: Homography
    frame: UInt8[np.ndarray, "height width 3"]

    @cached_property
    def lab(self) -> UInt8[np.ndarray, "height width 3"]:
        return lab8(self.frame)

    @property
    def bounds(self) -> Box:
        bounds = self.mask.bounds
        assert bounds is not None, "only frames that show the object are templates"  # noqa: S101
        return bounds


def track_motion(kept: Kept, camera: Camera, keys: Mapping[int, Cutout], start: int, step: int) -> Iterator[Cutout]:
    """Track an object by motion and appearance; a :data:`Tracker`, once its outline cache is bound.

    Endless: the masks are empty once the object has left the frame or the clip is over.
    """
    key = keys[start]
    first = _Template(start, key, np.eye(3), camera.frames[start])
    memory = [first] if key.bounds else []
    pose, speed, t = np.eye(3), np.zeros(2, np.float32), start
    while memory and 0 <= t + step < len(camera.frames):
        t += step
        last = memory[-1]
        picture = camera.frames[t]
        predicted = _shifted(pose, _camera_shift(camera, last, pose, t - step, t) + speed)
        jump = _jump(picture, last, predicted, speed)
        predicted = _shifted(predicted, jump)
        window = _window(last, predicted, picture.shape)
        if window is None:
            memory = []
            break
        templates = _choose(memory, first, t, step)
        mask, refined = kept.outlined(start, t, partial(_segment, camera, t, picture, window, predicted, templates))
        settled = refined if refined is not None and _is_near(refined, predicted, last) else predicted
        slip = _centre(settled, last) - _centre(predicted, last)
        speed = speed + jump + slip if t == start + step else speed + 0.5 * (jump + slip)
        pose = settled
        if mask.bounds and mask.area > max(30.0, _VISIBLE * key.area * abs(np.linalg.det(pose[:2, :2]))):
            memory.append(_Template(t, mask, pose, picture))
            memory = [template for template in memory if abs(template.t - t) <= 2 * _BACK[-1]] or memory[-1:]
        yield Cutout(mask.window, (mask.mask > 0.5).astype(np.float32))
    while True:
        yield _NOTHING


def _choose(memory: list[_Template], first: _Template, t: int, step: int) -> list[_Template]:
    """Choose the templates that frame ``t`` is matched against, nearest first, the key frame last."""
    chosen: list[_Template] = []
    for back in _BACK:
        older = [template for template in memory if (template.t - t) * step <= -back]
        if older and older[-1] not in chosen:
            chosen.append(older[-1])
    return chosen if first in chosen else [*chosen, first]


def _camera_shift(
    camera: Camera, last: _Template, pose: Homography, before: int, now: int
) -> Float32[np.ndarray, " 2"]:
    """Displacement of the object's centre by the camera's motion between two frames, working px."""
    place = _centre(pose, last)[None]
    return (transform(camera.between(before, now), place) - place)[0]


def _centre(pose: Homography, last: _Template) -> Float32[np.ndarray, " 2"]:
    """Centre of the object's last bounding box, mapped by a pose."""
    middle = last.bounds.corners.mean(axis=0, keepdims=True)
    return transform(pose @ np.linalg.inv(last.pose), middle)[0]


def _shifted(pose: Homography, shift: Float32[np.ndarray, " 2"]) -> Homography:
    """Translate a pose."""
    return translation(shift) @ pose


def _expected(last: _Template, pose: Homography) -> Box:
    """Bounding box of the object's last bounding box, mapped by a pose."""
    corners = transform(pose @ np.linalg.inv(last.pose), last.bounds.corners)
    return Box(*map(float, (*corners.min(axis=0), *corners.max(axis=0))))


def _jump(
    picture: UInt8[np.ndarray, "height width 3"],
    last: _Template,
    predicted: Homography,
    speed: Float32[np.ndarray, " 2"],
) -> Float32[np.ndarray, " 2"]:
    """Displacement of the object from its predicted pose by template matching, px.

    Displacements far from both constant velocity and rest against the camera are penalised.
    """
    bounds = _expected(last, predicted)
    zoom = max(1.0, bounds.side / _SIDE)
    reach = int(np.clip(_SEARCH * bounds.side / zoom, 10, 64))
    window = Window.over(bounds, zoom, least=2)
    behind = transform(last.pose @ np.linalg.inv(predicted), window.places)
    template, shape = look(last.frame, behind, zoom), last.mask.at(behind) > 0.5
    if np.count_nonzero(shape) < 10:
        return np.zeros(2, np.float32)
    wider = Window(
        window.left - reach * zoom, window.top - reach * zoom, zoom, window.columns + 2 * reach, window.rows + 2 * reach
    )
    searched = look(picture, wider.places, zoom).astype(np.float32)
    weight = np.repeat(shape[..., None], 3, axis=2).astype(np.float32)
    squares = cv2.matchTemplate(searched, template.astype(np.float32), cv2.TM_SQDIFF, mask=weight) / weight.sum()
    off = pixel_grid(Size(2 * reach + 1, 2 * reach + 1)) - np.float32(reach)
    unlikely = np.minimum(np.linalg.norm(off, axis=-1), np.linalg.norm(off + speed / np.float32(zoom), axis=-1)) / reach
    best = np.argmin(np.sqrt(np.maximum(squares, 0)) + 5 * unlikely**2)
    return off.reshape(-1, 2)[best] * np.float32(zoom)


def _window(last: _Template, predicted: Homography, shape: tuple[int, ...]) -> Window | None:
    """Window in which the object is segmented; None if it lies outside the frame."""
    bounds = _expected(last, predicted)
    zoom = max(1.0, bounds.side / _SIDE)
    frame = Box(0, 0, shape[1], shape[0]).grown(4 * zoom)
    seen = bounds.grown(_MARGIN * bounds.side + 10 * zoom).within(frame)
    return Window.over(seen, zoom) if min(seen.right - seen.left, seen.bottom - seen.top) > 0 else None


def _segment(
    camera: Camera,
    t: int,
    picture: UInt8[np.ndarray, "height width 3"],
    window: Window,
    pose: Homography,
    templates: list[_Template],
) -> Outline:
    """Segment the object in frame ``t``, from its predicted pose and templates, nearest first, the key frame last.

    Returns:
        The mask, 0 to 1 by confidence, and the pose by the motion since the nearest template; None if implausible.
    """
    places, zoom = window.places, window.zoom
    now = look(picture, places, zoom)
    grey = luma8(now)
    # Likelihoods of a match with the object and with its surroundings, 0 to 1: best of all templates (like, unlike),
    # and those of the template at hand (ours, others), which in the end is the key frame.
    like, unlike, ours, others, likely = (np.zeros(window.shape, np.float32) for _ in range(5))
    best, trust, weights, colours = 0.0, 0.0, 0.0, Colours()
    nearest: tuple[Points, Float32[np.ndarray, "row column"]] | None = None
    for index, one in enumerate(templates):
        back = one.pose @ np.linalg.inv(pose)
        step = dis_flow(grey, luma8(look(one.frame, transform(back, places), zoom)), finest_scale=0)
        there = transform(back, window.beside(step))
        seen, mask = look(one.frame, there, zoom), one.mask.at(there)
        still = transform(camera.between(t, one.t), places)  # where the surroundings are: they move with the camera
        behind = look(one.frame, still, zoom)
        rest = (1 - one.mask.at(still)) * is_inside(still, size_of(picture))
        same = np.exp(-_difference(seen, now) / _ALIKE)
        ours = mask * same
        others = np.maximum(rest * np.exp(-_difference(behind, now) / _ALIKE), 0.9 * (1 - mask) * same)
        like, unlike = np.maximum(like, ours), np.maximum(unlike, others)
        fits = float(ours.sum() / max(1.0, mask.sum()))
        best = max(best, fits)
        trust = fits / max(best, 1e-6)  # how well the template at hand still fits, next to the best
        weight = fits * (trust if one is templates[-1] else 1 / (1 + index))
        likely, weights = likely + weight * mask, weights + weight
        colours.add(look(one.lab, there, zoom), mask, look(one.lab, still, zoom), rest)
        nearest = nearest or (there, mask)
    likely = likely / np.float32(max(weights, 1e-6))
    from_key = 0.5 * trust * np.maximum(ours, others)
    motion = (_MOTION * motion_odds(_motions(camera, t, window), likely)).astype(np.float32)
    motion = np.where(motion < 0, motion * (1 - ours * (1 - others)), motion)  # a planted foot is still the object's
    score: Odds = (
        _PLACE * log_odds(blur(likely, 2))
        + _COLOUR * colours.odds(lab8(now))
        + _MATCH * ((1 - from_key) * _match_odds(like, unlike) + from_key * _match_odds(ours, others))
        + motion
    ).astype(np.float32)
    score[blur(likely, _FAR_PX) < 0.004] = -8
    is_object = cut(score, now)
    # Uncovered background can pass for the object at first. With full confidence in a template, it would for good.
    is_doubted = blur(motion, 1.5) < _STANDS
    sure = np.where(is_doubted, np.float32(_DOUBTED), np.float32(1)) * is_object
    assert nearest is not None, "there is always a template"  # noqa: S101
    similarity = _similarity(nearest[0], places, (nearest[1] > 0.5) & is_object)
    gap = abs(templates[0].t - t)  # no object grows or shrinks by more than a tenth a frame
    if similarity is not None and not 0.9**gap < np.sqrt(abs(np.linalg.det(similarity[:2, :2]))) < 1.1**gap:
        similarity = None
    return Cutout(window, sure), None if similarity is None else similarity @ templates[0].pose


def _match_odds(like: Odds, unlike: Odds) -> Odds:
    """Log odds of the likelihoods, 0 to 1, that a pixel matches the object and that it matches the surroundings."""
    return np.log((like + _UNSEEN) / (unlike + _UNSEEN))


def _motions(camera: Camera, t: int, window: Window) -> dict[int, FlowPx]:
    """Motion against the camera at the window's points, by offset in frames, in window steps."""
    scale = np.float32(camera.small(t).shape[0] / camera.frames[t].shape[0])
    at = (window.places + 0.5) * scale - 0.5
    return {
        offset: warp(motion, at) / (scale * np.float32(window.zoom))
        for offset, motion in camera.motion_against(t).items()
    }


def _difference(
    one: UInt8[np.ndarray, "row column 3"], other: UInt8[np.ndarray, "row column 3"]
) -> Float32[np.ndarray, "row column"]:
    """Difference of two pictures around each pixel, mean of the channels, of 255."""
    return blur(cv2.absdiff(one, other).astype(np.float32).mean(axis=-1), 1.2)


def _similarity(start: Points, end: Points, mask: Bool[np.ndarray, "row column"]) -> Homography | None:
    """Fit a similarity to the points of a mask by RANSAC; None if none fits."""
    if np.count_nonzero(mask) < 20:
        return None
    fit = fit_similarity(start[mask][::5], end[mask][::5], 2.0)
    return fit and fit.matrix


def _is_near(pose: Homography, predicted: Homography, last: _Template) -> bool:
    """Whether a pose puts the object within 0.3 of its longer side of the predicted pose."""
    return bool(np.linalg.norm(_centre(pose, last) - _centre(predicted, last)) < 0.3 * _expected(last, predicted).side)


def _interpolated(tracked: list[tuple[float, Cutout]]) -> Cutout:
    """Interpolate the weighted masks tracked from both sides, by the mean of their signed distances."""
    visible = [(weight, one) for weight, one in tracked if one.bounds]
    if sum(weight for weight, _ in visible) < 0.5 * sum(weight for weight, _ in tracked):
        return _NOTHING
    if len(visible) == 1:
        return visible[0][1]
    window = around([one for _, one in visible])
    distance = np.sum([weight * _signed_distance(one.at(window.places) > 0.5) for weight, one in visible], axis=0)
    return Cutout(window, (distance > 0).astype(np.float32))


def _signed_distance(mask: Bool[np.ndarray, "row column"]) -> Float32[np.ndarray, "row column"]:
    """Signed distance to the outline, positive inside, px; clipped, as far from the outline it says nothing."""
    inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask))
    return np.clip(inside - outside, -24, 24)
