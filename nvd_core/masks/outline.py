"""The outline of a moving thing in one frame, from a rough idea of where it is.

Optical flow says roughly what moves, and is wide of the mark around it. So the motion of the thing as one
piece is fitted, and each pixel is asked which motion leads to where it is seen again: this one, or that of
what is around. Colours that are surely the thing's or surely not decide where neither tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from scipy.ndimage import gaussian_filter

from nvd_core.flow.dis import FlowPx
from nvd_core.masks.camera import Camera, Points, is_inside, moved, sampled
from nvd_core.masks.cues import lab8, log_odds
from nvd_core.masks.cut import cut
from nvd_core.masks.window import Bounds, Window, bounding, look

Plane = Float32[np.ndarray, "row column"]

_SIDE: Final = 200
"""Points along the longer side of a thing; more tell no more."""
_MARGIN: Final = 0.25
_ROUNDS: Final = 4
_FLOW, _PLACE = 0.5, 0.2
"""Weights of what optical flow says and of where the thing was thought to be; the other cues have 1."""
_SHIFT: Final = 0.7
"""By this much the odds are shifted, to see whether the outline stays where it is."""

_NOISE_PX: Final = 0.5
_BENDS: Final = 0.1
_STILL_PX: Final = 1.5
"""Motion below which nothing can be told from it."""
_NOISE: Final = 3.0
"""Of a picture, of 255."""
_TEXTURE: Final = 10.0
"""Difference, of 255, that halves what is said where there is little to see."""
_BINS: Final = (16, 24, 24)


@final
@dataclass(frozen=True)
class Motions:
    """How what is seen in a frame moves, seen from several other frames; at the size of :meth:`Camera.small`.

    Attributes:
        own: by offset in frames, px; NaN where the other frame does not see the place.
        around: the motion of what is around, smooth; ``own`` is against it.
        noise_px: what ``own`` is off by where nothing moves.
    """

    own: Mapping[int, FlowPx]
    around: Mapping[int, FlowPx]
    noise_px: Mapping[int, float]

    @classmethod
    def seen(cls, camera: Camera, t: int) -> Motions:
        """Motion against the camera is parted once more: a bent ground or a turning lens moves it smoothly."""
        own, around, noise = {}, {}, {}
        for offset, motion in camera.motion_against(t).items():
            fit = fitted(motion, np.ones(motion.shape[:2], np.float32), _BENT)
            if fit is not None:
                around[offset], noise[offset] = fit
                own[offset] = motion - around[offset]
        return cls(own, around, noise)


@final
@dataclass(frozen=True)
class Outline:
    """A thing in a frame.

    Attributes:
        mask: at working size.
        clear: how much clearer its own motion explains its pixels than that of what is around; 1 is plain.
        steady: overlap of its masks if a little more or less is asked of its pixels, 0 to 1.
    """

    mask: Bool[np.ndarray, "height width"]
    clear: float
    steady: float

    @property
    def area(self) -> float:
        """Part of the frame that it fills."""
        return float(self.mask.mean())


def outline(camera: Camera, t: int, motions: Motions, rough: Bool[np.ndarray, "row column"]) -> Outline | None:
    """Find the outline.

    Args:
        camera: the clip.
        t: frame index.
        motions: of this frame.
        rough: where the thing is about, at the size of :meth:`Camera.small`.

    Returns:
        None if nothing there moves as one thing.
    """
    frame = camera.frames[t]
    scale = frame.shape[0] / rough.shape[0]
    bounds = bounding(rough)
    if bounds is None:
        return None
    bounds = Bounds(*(side * scale for side in bounds))
    zoom = max(1.0, bounds.side / _SIDE)
    everything = Bounds(0, 0, frame.shape[1], frame.shape[0]).grown(2 * zoom)
    scene = _Scene.of(
        camera, t, motions, Window.over(bounds.grown(_MARGIN * bounds.side + 6 * zoom).within(everything), zoom), scale
    )
    likely = scene.at_points(rough.astype(np.float32))
    odds = clear = mask = None
    for _ in range(_ROUNDS):
        told = _motion_odds(scene, likely)
        if told is None:
            return None
        clear = told.look
        place = np.clip(log_odds(cv2.GaussianBlur(likely, (0, 0), 4)), -2, 2)
        odds = told.flow * _FLOW + clear + _colour_odds(scene, likely, clear) + _PLACE * place
        mask = cut(odds, scene.now)
        likely = mask.astype(np.float32)
        if not mask.any():
            return None
    assert odds is not None and clear is not None and mask is not None  # noqa: S101, PT018
    more, less = (cut(odds + shift, scene.now) for shift in (_SHIFT, -_SHIFT))
    steady = float(np.count_nonzero(more & less) / max(1, np.count_nonzero(more | less)))
    return Outline(_at_working_size(mask, scene.window, frame.shape), float(clear[mask].mean()), steady)


@final
@dataclass(frozen=True)
class _Scene:
    """What is around a thing, at the points of a window; motions are in the window's steps."""

    camera: Camera
    t: int
    window: Window
    scale: float
    now: UInt8[np.ndarray, "row column 3"]
    own: Mapping[int, FlowPx]
    around: Mapping[int, FlowPx]
    stays: Mapping[int, Plane]
    """How much other frames differ from this one where what is around would be seen there, of 255."""

    @classmethod
    def of(cls, camera: Camera, t: int, motions: Motions, window: Window, scale: float) -> _Scene:
        scene = cls(camera, t, window, scale, look(camera.frames[t], window.places, window.zoom), {}, {}, {})
        own, around = (
            {offset: scene.at_points(flow) * np.float32(scale / window.zoom) for offset, flow in flows.items()}
            for flows in (motions.own, motions.around)
        )
        scene = cls(camera, t, window, scale, scene.now, own, around, {})
        return cls(
            camera, t, window, scale, scene.now, own, around, {offset: scene.differs(offset, 0)[0] for offset in own}
        )

    @property
    def small_px(self) -> float:
        """Steps a pixel of the small pictures."""
        return self.scale / self.window.zoom

    def at_points(self, small: Float32[np.ndarray, "height width *chan"]) -> Float32[np.ndarray, "row column *chan"]:
        places = (self.window.places + 0.5) / np.float32(self.scale) - 0.5
        return sampled(small, places)

    def differs(self, offset: int, motion: Points | int) -> tuple[Plane, Bool[np.ndarray, "row column"]]:
        """How the picture differs from another where each point is if it moved so against what is around."""
        steps = (self.around[offset] + motion) * np.float32(self.window.zoom)
        there = moved(self.camera.between(self.t, self.t + offset), self.window.places + steps)
        seen = look(self.camera.frames[self.t + offset], there, self.window.zoom)
        difference = cv2.absdiff(seen, self.now).astype(np.float32).mean(axis=-1)
        return cv2.GaussianBlur(difference, (0, 0), 1.2), is_inside(there, self.camera.frames[0].shape)


class _Told(NamedTuple):
    flow: Plane
    look: Plane


def _motion_odds(scene: _Scene, likely: Plane) -> _Told | None:
    """What the thing's motion says, by optical flow and by what is seen where the motion leads.

    What was hidden before or will be hidden later is seen again on one side of time only, and moves there as
    anything. So the side counts that says less.
    """
    flows: dict[int, Plane] = {}
    looks: dict[int, Plane] = {}
    for offset, motion in scene.own.items():
        fit = fitted(motion, likely, _STRAIGHT)
        if fit is None:
            continue
        expected, spread = fit[0], max(0.5, fit[1])
        speed2 = (expected**2).sum(axis=-1)
        telling = np.minimum(1, speed2 / (_STILL_PX * scene.small_px) ** 2)
        flows[offset] = _flow_odds(motion, expected, spread, speed2, _NOISE_PX * scene.small_px) * telling
        looks[offset] = _look_odds(scene, offset, expected, likely) * telling
    if not flows:
        return None
    return _Told(_less_sure(flows, is_best=True), _less_sure(looks, is_best=False))


def _flow_odds(motion: FlowPx, expected: FlowPx, spread: float, speed2: Plane, noise: float) -> Plane:
    still = (motion**2).sum(axis=-1) / (noise**2 + 0.02 * speed2)
    along = ((motion - expected) ** 2).sum(axis=-1) / (noise**2 + _BENDS**2 * speed2 + (1.5 * spread) ** 2)
    against_still, against_other = (np.nan_to_num((other - along) / 2) for other in (still, 6.0))
    return np.minimum(np.clip(against_still, -2, 0.6), np.clip(against_other, -1, 0.6)).astype(np.float32)


def _look_odds(scene: _Scene, offset: int, expected: FlowPx, likely: Plane) -> Plane:
    """By how much the motion explains the picture better than stillness, next to what it does for the thing itself."""
    stays = scene.stays[offset]
    moves, is_seen = scene.differs(offset, expected)
    follows, _ = scene.differs(offset, np.nan_to_num(scene.own[offset]))
    with np.errstate(invalid="ignore"):
        is_near = ((scene.own[offset] - expected) ** 2).sum(axis=-1) < 0.25 * (expected**2).sum(axis=-1)
    moves = np.where(is_near, np.minimum(moves, follows + 1), moves)
    better = np.log((stays + _NOISE) / (moves + _NOISE))
    texture = np.maximum(stays, moves)
    inside = better[(likely > 0.5) & (texture > 0.8 * _TEXTURE)]
    usual = np.clip(0.6 * np.median(inside), 0, 0.5) if len(inside) else 0.0
    return (np.clip(2 * (better - usual), -1.5, 1.5) * texture / (texture + _TEXTURE) * is_seen).astype(np.float32)


def _less_sure(odds: Mapping[int, Plane], *, is_best: bool) -> Plane:
    """What both sides of time say; of each the mean, or that of the half of its distances that says most."""
    sides = []
    for sign in (1, -1):
        side = np.sort([one for offset, one in odds.items() if offset * sign > 0], axis=0)
        if len(side):
            sides.append(side[-(len(side) + 1) // 2 :].mean(axis=0) if is_best else side.mean(axis=0))
    return np.minimum.reduce(sides).astype(np.float32)


def _colour_odds(scene: _Scene, likely: Plane, clear: Plane) -> Plane:
    """By colours that are the thing's where it is clear that it moves, and of all else."""
    lab = lab8(scene.now)
    bins = [lab[..., 0].astype(np.int64) * _BINS[0] // 256]
    for channel, count in zip((1, 2), _BINS[1:], strict=True):
        chroma = np.clip((lab[..., channel].astype(np.float32) - 128) / 192 + 0.5, 0, 0.999)
        bins.append((chroma * count).astype(np.int64))
    index = np.ravel_multi_index(tuple(bins), _BINS).ravel()

    def share(weight: Plane) -> Float64[np.ndarray, " pixel"]:
        counts = np.bincount(index, weight.ravel(), int(np.prod(_BINS))).reshape(_BINS)
        smooth = gaussian_filter(counts.astype(np.float64), 0.8, truncate=2).ravel()[index]
        return smooth / (weight.sum() + 1e-6) + 2e-4

    ours = share(likely * np.clip(clear, 0, 1))
    others = share(1 - likely + likely * np.clip(-clear, 0, 1))
    return np.clip(np.log(ours / others), -2, 2).reshape(likely.shape).astype(np.float32)


def _at_working_size(mask: Bool[np.ndarray, "row column"], window: Window, shape: tuple[int, ...]) -> np.ndarray:
    inverse = np.array([[1, 0, -window.left], [0, 1, -window.top]]) / window.zoom
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask.astype(np.float32), inverse, (shape[1], shape[0]), flags=flags) > 0.5


_STRAIGHT: Final = (1e-3, 0.02, 0.02)
"""How much the terms of a motion (1, x, y) resist: an affine one."""
_BENT: Final = (1e-4, 0.01, 0.01, 0.05, 0.05, 0.05)
"""Likewise of (1, x, y, xx, xy, yy)."""


def fitted(motion: FlowPx, weight: Plane, resistance: tuple[float, ...]) -> tuple[FlowPx, float] | None:
    """The smooth motion that most agree with, and how far they are from it; by reweighted least squares.

    Args:
        motion: NaN where it is unknown.
        weight: of each pixel, 0 to 1.
        resistance: of each term of the polynomial.
    """
    some = (slice(2, None, 4), slice(2, None, 4))
    known = (weight[some] > 0.2) & np.isfinite(motion[some]).all(axis=-1)
    if np.count_nonzero(known) < 12:
        return None
    rows, columns = (4 * index + 2 for index in np.nonzero(known))
    flow, trust = motion[rows, columns].astype(np.float64), weight[rows, columns]
    middle = columns.mean(), rows.mean()
    scale = max(8.0, float(columns.std() + rows.std()))

    def terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = (x - middle[0]) / scale, (y - middle[1]) / scale
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y][: len(resistance)], axis=-1)

    basis, fit = terms(columns, rows), np.zeros((len(resistance), 2))
    fit[0] = np.median(flow, axis=0)
    off = np.linalg.norm(flow - basis @ fit, axis=1)
    for _ in range(8):
        agreed = trust / (1 + (off / max(0.3, 1.5 * float(np.median(off)))) ** 2) ** 2
        normal = basis.T @ (agreed[:, None] * basis) + np.diag(resistance) * agreed.sum()
        fit = np.linalg.solve(normal, basis.T @ (agreed[:, None] * flow))
        off = np.linalg.norm(flow - basis @ fit, axis=1)
    down, across = np.mgrid[: weight.shape[0], : weight.shape[1]].astype(np.float64)
    return (terms(across, down) @ fit).astype(np.float32), float(np.median(off))
