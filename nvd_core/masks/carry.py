"""Masks on a few frames, carried to all of them.

From a frame with a mask the object is followed to its neighbour, and on from there. Each new frame is laid
on several that are known already (the last ones, some further back, and the one whose mask was given), once
as the object moved and once as the camera did. What looks as the object did there, has its colours and moves
as it does, is the object; a graph cut draws the outline. Since old looks are kept, an object that was hidden
is found again. Only the mask that was given is sure, so wherever the object still looks as it did there that mask
has most to say: errors of the carried ones do not add up.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.clip.colour import luma8
from nvd_core.flow.dis import FlowPx, dis_flow
from nvd_core.masks.camera import Camera, Homography, Points, is_inside, moved, sampled
from nvd_core.masks.cues import Colours, Odds, lab8, log_odds, motion_odds
from nvd_core.masks.cut import cut
from nvd_core.masks.kept import Kept, Outline
from nvd_core.masks.window import Bounds, Cutout, Window, around, look

_BACK: Final = (1, 2, 4, 8, 16)
"""Frames back that a frame is compared with, besides the one whose mask was given."""

_SIDE: Final = 160
"""Points across an object's longer side: the outline is refined later, at the plate's size."""

_MARGIN: Final = 0.3
"""Of the object's side, around it."""

_ALIKE: Final = 12.0
"""Difference (of 255) at which what was seen says a third of what it says if it is the same."""

_UNSEEN: Final = 0.03
_FAR_PX: Final = 10.0
_SEARCH: Final = 0.4
"""How far an object may jump, in its own sides."""

_VISIBLE: Final = 0.1
"""An object of which less is seen is hidden: its look is not remembered."""

_NOTHING: Final = Cutout.of(np.zeros((1, 1), np.float32))
"""The mask of an object that is hidden."""

_PLACE, _COLOUR, _LOOK, _MOTION = 0.6, 0.8, 1.0, 1.5
"""Weights of the cues."""

_STANDS: Final = -2.0
_DOUBTED: Final = 0.8
"""What is taken for the object though its motion says less than this, is remembered as so sure."""


Follow = Callable[[Camera, Mapping[int, Cutout], int, int], Iterator[Cutout]]
"""What follows an object through a clip.

It is given the clip, the object's masks by frame index (of the frame that it begins at, and of the one that it comes
to), where it begins, and which way, 1 or -1. The masks of the frames from there on come one after the other.
"""


def carry(camera: Camera, keys: Mapping[int, Cutout], follow: Follow) -> Generator[float, None, list[Cutout]]:
    """Carry masks to all frames.

    Args:
        camera: the clip, with its camera's motion.
        keys: by frame index, the masks that are given; they stay as they are. Between two of them both are
            carried, and the nearer one counts more. An empty one says that the object is hidden in its own frame.
        follow: what follows the object.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        A mask for every frame; empty where the object is hidden.
    """
    count, given = len(camera.frames), sorted(t for t, key in keys.items() if key.bounds)
    found: dict[int, list[tuple[float, Cutout]]] = {}
    if not given:
        return [keys.get(t, _NOTHING) for t in range(count)]
    legs = [(given[0], -1, -1), (given[-1], count, 1)]
    for left, right in pairwise(given):
        legs += [(left, right, 1), (right, left, -1)]
    done, total = 0, sum(abs(end - start) - 1 for start, end, _ in legs)
    for start, end, step in legs:
        is_between, ends = end in keys, {t: keys[t] for t in (start, end) if t in keys}
        for t, mask in zip(range(start + step, end, step), follow(camera, ends, start, step), strict=False):
            weight = abs(end - t) / abs(end - start) if is_between else 1.0
            found.setdefault(t, []).append((weight, mask))
            done += 1
            yield done / total
    return [keys[t] if t in keys else _joined(found[t]) for t in range(count)]


@final
@dataclass(frozen=True)
class _Look:
    """A frame in which the object is known.

    Attributes:
        t: which.
        mask: where the object is, 0 to 1 as it is sure.
        pose: a similarity, from the object in the frame whose mask was given to the object here.
        frame: the picture.
    """

    t: int
    mask: Cutout
    pose: Homography
    frame: UInt8[np.ndarray, "height width 3"]

    @cached_property
    def lab(self) -> UInt8[np.ndarray, "height width 3"]:
        return lab8(self.frame)

    @property
    def bounds(self) -> Bounds:
        found = self.mask.bounds
        assert found is not None, "only frames that show the object are remembered"  # noqa: S101
        return found


def follow_motion(kept: Kept, camera: Camera, keys: Mapping[int, Cutout], start: int, step: int) -> Iterator[Cutout]:
    """By motion and looks; of kept outlines, a :data:`Follow`. For ever: empty once nothing is left to follow."""
    key = keys[start]
    first = _Look(start, key, np.eye(3), camera.frames[start])
    memory = [first] if key.bounds else []
    pose, speed, t = np.eye(3), np.zeros(2, np.float32), start
    while memory and 0 <= t + step < len(camera.frames):
        t += step
        last = memory[-1]
        picture = camera.frames[t]
        guess = _shifted(pose, _camera_shift(camera, last, pose, t - step, t) + speed)
        jump = _jump(picture, last, guess, speed)
        guess = _shifted(guess, jump)
        window = _window(last, guess, picture.shape)
        if window is None:
            memory = []
            break
        known = _chosen(memory, first, t, step)
        mask, refined = kept.outlined(start, t, partial(_segment, camera, t, picture, window, guess, known))
        settled = refined if refined is not None and _is_near(refined, guess, last) else guess
        slip = _centre(settled, last) - _centre(guess, last)
        speed = speed + jump + slip if t == start + step else speed + 0.5 * (jump + slip)
        pose = settled
        if mask.bounds and mask.area > max(30.0, _VISIBLE * key.area * abs(np.linalg.det(pose[:2, :2]))):
            memory.append(_Look(t, mask, pose, picture))
            memory = [one for one in memory if abs(one.t - t) <= 2 * _BACK[-1]] or memory[-1:]
        yield Cutout(mask.window, (mask.mask > 0.5).astype(np.float32))
    while True:
        yield _NOTHING


def _chosen(memory: list[_Look], first: _Look, t: int, step: int) -> list[_Look]:
    """The looks that frame ``t`` is compared with, nearest first."""
    chosen: list[_Look] = []
    for back in _BACK:
        older = [one for one in memory if (one.t - t) * step <= -back]
        if older and older[-1] not in chosen:
            chosen.append(older[-1])
    return chosen if first in chosen else [*chosen, first]


def _camera_shift(camera: Camera, last: _Look, pose: Homography, before: int, now: int) -> Float32[np.ndarray, " 2"]:
    """How far the camera's motion moves a place that is the object's."""
    place = _centre(pose, last)[None]
    return (moved(camera.between(before, now), place) - place)[0]


def _centre(pose: Homography, last: _Look) -> Float32[np.ndarray, " 2"]:
    """Where the middle of the object, as it was last seen, lies by a pose."""
    middle = last.bounds.corners.mean(axis=0, keepdims=True)
    return moved(pose @ np.linalg.inv(last.pose), middle)[0]


def _shifted(pose: Homography, shift: Float32[np.ndarray, " 2"]) -> Homography:
    move = np.eye(3)
    move[:2, 2] = shift
    return move @ pose


def _expected(last: _Look, pose: Homography) -> Bounds:
    """The rectangle that the object fills by a pose."""
    corners = moved(pose @ np.linalg.inv(last.pose), last.bounds.corners)
    return Bounds(*map(float, (*corners.min(axis=0), *corners.max(axis=0))))


def _jump(
    picture: UInt8[np.ndarray, "height width 3"], last: _Look, guess: Homography, speed: Float32[np.ndarray, " 2"]
) -> Float32[np.ndarray, " 2"]:
    """How far from the guess the object's last look fits best, px; unlikely moves must fit better."""
    bounds = _expected(last, guess)
    zoom = max(1.0, bounds.side / _SIDE)
    reach = int(np.clip(_SEARCH * bounds.side / zoom, 10, 64))
    window = Window.over(bounds, zoom, least=2)
    behind = moved(last.pose @ np.linalg.inv(guess), window.places)
    template, shape = look(last.frame, behind, zoom), last.mask.at(behind) > 0.5
    if np.count_nonzero(shape) < 10:
        return np.zeros(2, np.float32)
    wider = Window(
        window.left - reach * zoom, window.top - reach * zoom, zoom, window.columns + 2 * reach, window.rows + 2 * reach
    )
    searched = look(picture, wider.places, zoom).astype(np.float32)
    weight = np.repeat(shape[..., None], 3, axis=2).astype(np.float32)
    squares = cv2.matchTemplate(searched, template.astype(np.float32), cv2.TM_SQDIFF, mask=weight) / weight.sum()
    off = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1, dtype=np.float32)] * 2), axis=-1)
    unlikely = np.minimum(np.linalg.norm(off, axis=-1), np.linalg.norm(off + speed / np.float32(zoom), axis=-1)) / reach
    best = np.argmin(np.sqrt(np.maximum(squares, 0)) + 5 * unlikely**2)
    return off.reshape(-1, 2)[best] * np.float32(zoom)


def _window(last: _Look, guess: Homography, shape: tuple[int, ...]) -> Window | None:
    """Where the object is looked for; None if that is outside the frame."""
    bounds = _expected(last, guess)
    zoom = max(1.0, bounds.side / _SIDE)
    frame = Bounds(0, 0, shape[1], shape[0]).grown(4 * zoom)
    seen = bounds.grown(_MARGIN * bounds.side + 10 * zoom).within(frame)
    return Window.over(seen, zoom) if min(seen.right - seen.left, seen.bottom - seen.top) > 0 else None


def _segment(
    camera: Camera,
    t: int,
    picture: UInt8[np.ndarray, "height width 3"],
    window: Window,
    pose: Homography,
    known: list[_Look],
) -> Outline:
    """The object's mask in a frame, as far as it is sure, and its pose as the last look moved there."""
    places, zoom = window.places, window.zoom
    now = look(picture, places, zoom)
    grey = luma8(now)
    like, unlike, ours, others, likely = (np.zeros(window.shape, np.float32) for _ in range(5))
    best, trust, weights, colours = 0.0, 0.0, 0.0, Colours()
    nearest: tuple[Points, Float32[np.ndarray, "row column"]] | None = None
    for index, one in enumerate(known):
        back = one.pose @ np.linalg.inv(pose)
        step = dis_flow(grey, luma8(look(one.frame, moved(back, places), zoom)), finest_scale=0)
        there = moved(back, window.beside(step))
        seen, mask = look(one.frame, there, zoom), one.mask.at(there)
        still = moved(camera.between(t, one.t), places)
        behind = look(one.frame, still, zoom)
        rest = (1 - one.mask.at(still)) * is_inside(still, picture.shape)
        same = np.exp(-_difference(seen, now) / _ALIKE)
        ours = mask * same
        others = np.maximum(rest * np.exp(-_difference(behind, now) / _ALIKE), 0.9 * (1 - mask) * same)
        like, unlike = np.maximum(like, ours), np.maximum(unlike, others)
        fits = float(ours.sum() / max(1.0, mask.sum()))
        best = max(best, fits)
        trust = fits / max(best, 1e-6)  # the last one was given: it is right, as far as the object still looks so
        weight = fits * (trust if one is known[-1] else 1 / (1 + index))
        likely, weights = likely + weight * mask, weights + weight
        colours.add(look(one.lab, there, zoom), mask, look(one.lab, still, zoom), rest)
        nearest = nearest or (there, mask)
    likely = likely / np.float32(max(weights, 1e-6))
    given = 0.5 * trust * np.maximum(ours, others)
    motion = (_MOTION * motion_odds(_motions(camera, t, window), likely)).astype(np.float32)
    motion = np.where(motion < 0, motion * (1 - ours * (1 - others)), motion)  # a foot that stands is still a foot
    score: Odds = (
        _PLACE * log_odds(cv2.GaussianBlur(likely, (0, 0), 2))
        + _COLOUR * colours.odds(lab8(now))
        + _LOOK * ((1 - given) * _look_odds(like, unlike) + given * _look_odds(ours, others))
        + motion
    ).astype(np.float32)
    score[cv2.GaussianBlur(likely, (0, 0), _FAR_PX) < 0.004] = -8
    is_object = cut(score, now)
    # Ground that the object leaves can pass for it at first. Were that remembered as sure, it would stay the object's.
    is_doubted = cv2.GaussianBlur(motion, (0, 0), 1.5) < _STANDS
    sure = np.where(is_doubted, np.float32(_DOUBTED), np.float32(1)) * is_object
    assert nearest is not None, "there is always a look to compare with"  # noqa: S101
    found = _similarity(nearest[0], places, (nearest[1] > 0.5) & is_object)
    gap = abs(known[0].t - t)
    if found is not None and not 0.9**gap < np.sqrt(abs(np.linalg.det(found[:2, :2]))) < 1.1**gap:
        found = None
    return Cutout(window, sure), None if found is None else found @ known[0].pose


def _look_odds(like: Odds, unlike: Odds) -> Odds:
    """Of how much a pixel looks like the object, and like what is around, each 0 to 1."""
    return np.log((like + _UNSEEN) / (unlike + _UNSEEN))


def _motions(camera: Camera, t: int, window: Window) -> dict[int, FlowPx]:
    """Motion against the camera at the window's points, in its own steps."""
    scale = np.float32(camera.small(t).shape[0] / camera.frames[t].shape[0])
    at = (window.places + 0.5) * scale - 0.5
    return {
        offset: sampled(motion, at) / (scale * np.float32(window.zoom))
        for offset, motion in camera.motion_against(t).items()
    }


def _difference(
    one: UInt8[np.ndarray, "row column 3"], other: UInt8[np.ndarray, "row column 3"]
) -> Float32[np.ndarray, "row column"]:
    """Mean difference of two pictures around each pixel, of 255."""
    return cv2.GaussianBlur(cv2.absdiff(one, other).astype(np.float32).mean(axis=-1), (0, 0), 1.2)


def _similarity(start: Points, end: Points, mask: Bool[np.ndarray, "row column"]) -> Homography | None:
    """The similarity that most points of a mask agree with."""
    if np.count_nonzero(mask) < 20:
        return None
    pairs = [np.ascontiguousarray(points[mask][::5], np.float32) for points in (start, end)]
    cv2.setRNGSeed(0)  # RANSAC draws from OpenCV's own numbers
    found, _ = cv2.estimateAffinePartial2D(*pairs, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    return None if found is None else np.vstack([found, [0.0, 0.0, 1.0]])


def _is_near(pose: Homography, guess: Homography, last: _Look) -> bool:
    return bool(np.linalg.norm(_centre(pose, last) - _centre(guess, last)) < 0.3 * _expected(last, guess).side)


def _joined(found: list[tuple[float, Cutout]]) -> Cutout:
    """One mask of two that were carried from both sides: their outlines' mean, by weight."""
    there = [(weight, one) for weight, one in found if one.bounds]
    if sum(weight for weight, _ in there) < 0.5 * sum(weight for weight, _ in found):
        return _NOTHING
    if len(there) == 1:
        return there[0][1]
    window = around([one for _, one in there])
    distance = np.sum([weight * _inside_px(one.at(window.places) > 0.5) for weight, one in there], axis=0)
    return Cutout(window, (distance > 0).astype(np.float32))


def _inside_px(mask: Bool[np.ndarray, "row column"]) -> Float32[np.ndarray, "row column"]:
    """Distance from the outline, negative outside; bounded, as far away it says nothing."""
    inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (mask, ~mask))
    return np.clip(inside - outside, -24, 24)
