"""Segment a moving object in one frame, from a rough mask.

Optical flow shows roughly what moves and is wrong around its outline. So an affine motion is fitted to the object, and
other frames are warped to this one by that motion and by the motion of the surroundings: each pixel goes to the motion
that matches it better. Colours that are clearly the object's or the surroundings' decide where neither does.
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
from nvd_core.image.colour import lab8
from nvd_core.image.filters import blur
from nvd_core.image.fit import fit_flow
from nvd_core.image.geometry import Box, Points, bounding_box, is_inside, size_of, transform
from nvd_core.image.sample import warp
from nvd_core.roto.camera import Camera
from nvd_core.roto.cues import log_odds
from nvd_core.roto.graph_cut import cut
from nvd_core.roto.window import Window, look

Plane = Float32[np.ndarray, "row column"]

_SIDE: Final = 200
"""Points along the object's longer side at most; more add nothing."""
_MARGIN: Final = 0.25
"""Margin of the window around the object, relative to its longer side."""
_ROUNDS: Final = 4
"""Iterations of cues and graph cut."""
_FLOW, _PLACE = 0.5, 0.2
"""Weights of the log odds of optical flow and of the expected place; the other cues weigh 1."""
_SHIFT: Final = 0.7
"""Shift of the log odds, up and down, that tests whether the outline is stable."""

_NOISE_PX: Final = 0.5
"""Least error of optical flow, small px."""
_BENDS: Final = 0.1
"""Deviation of an object that bends from its affine motion, relative to its speed."""
_STILL_PX: Final = 1.5
"""Speed below which motion says less, by the square, small px."""
_NOISE: Final = 3.0
"""Noise of a picture, of 255."""
_TEXTURE: Final = 10.0
"""Difference, of 255, at which a match counts half: flat regions match anything."""
_BINS: Final = (16, 24, 24)
"""Histogram bins along L, a and b."""


@final
@dataclass(frozen=True)
class Motions:
    """Motion of a frame's pixels against the camera, by offset in frames, at the size of :meth:`Camera.small`.

    Attributes:
        own: relative to ``around``, px; NaN where the other frame does not see the place.
        around: smooth motion of the surroundings, px.
        noise_px: median error of ``own`` where nothing moves.
    """

    own: Mapping[int, FlowPx]
    around: Mapping[int, FlowPx]
    noise_px: Mapping[int, float]

    @classmethod
    def seen(cls, camera: Camera, t: int) -> Motions:
        """Split motion against the camera by a quadratic fit: curved ground and lenses bend a homography."""
        own, around, noise = {}, {}, {}
        for offset, motion in camera.motion_against(t).items():
            fit = fit_flow(motion, np.ones(motion.shape[:2], np.float32), 2)
            if fit is not None:
                around[offset], noise[offset] = fit
                own[offset] = motion - around[offset]
        return cls(own, around, noise)


@final
@dataclass(frozen=True)
class Outline:
    """Segmentation of an object in a frame.

    Attributes:
        mask: at working size.
        clear: mean log odds that its pixels match its own motion rather than that of the surroundings; 1 is plain.
        steady: intersection over union of its masks with raised and with lowered odds, 0 to 1.
    """

    mask: Bool[np.ndarray, "height width"]
    clear: float
    steady: float

    @property
    def area(self) -> float:
        """Area, as a fraction of the frame."""
        return float(self.mask.mean())


def outline(camera: Camera, t: int, motions: Motions, rough: Bool[np.ndarray, "row column"]) -> Outline | None:
    """Segment a moving object in one frame.

    Args:
        camera: the clip, with its camera's motion.
        t: frame index.
        motions: of this frame.
        rough: rough mask of the object, at the size of :meth:`Camera.small`.

    Returns:
        None if nothing there moves as one object.
    """
    frame = camera.frames[t]
    scale = frame.shape[0] / rough.shape[0]
    box = bounding_box(rough)
    if box is None:
        return None
    bounds = Box(*(side * scale for side in box))
    zoom = max(1.0, bounds.side / _SIDE)
    everything = Box(0, 0, *size_of(frame)).grown(2 * zoom)
    scene = _Scene.of(
        camera,
        t,
        motions,
        Window.over(bounds.grown(_MARGIN * bounds.side + 6 * zoom).within(everything), zoom),
        scale,
    )
    likely = scene.at_points(rough.astype(np.float32))
    odds = clear = mask = None
    for _ in range(_ROUNDS):
        motion = _motion_odds(scene, likely)
        if motion is None:
            return None
        clear = motion.match
        place = np.clip(log_odds(blur(likely, 4)), -2, 2)
        odds = motion.flow * _FLOW + clear + _colour_odds(scene, likely, clear) + _PLACE * place
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
    """Window around an object: picture and motions at its points, motions in window steps."""

    camera: Camera
    t: int
    window: Window
    scale: float
    now: UInt8[np.ndarray, "row column 3"]
    own: Mapping[int, FlowPx]
    around: Mapping[int, FlowPx]
    stays: Mapping[int, Plane]
    """Difference from other frames, warped by the motion of the surroundings, by offset, of 255."""

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
        """Window steps per small px."""
        return self.scale / self.window.zoom

    def at_points(self, small: Float32[np.ndarray, "height width *chan"]) -> Float32[np.ndarray, "row column *chan"]:
        """Sample a picture of :meth:`Camera.small` size at the window's points."""
        places = (self.window.places + 0.5) / np.float32(self.scale) - 0.5
        return warp(small, places)

    def differs(self, offset: int, motion: Points | int) -> tuple[Plane, Bool[np.ndarray, "row column"]]:
        """Difference from another frame, warped by a motion relative to the surroundings, of 255, and its coverage."""
        steps = (self.around[offset] + motion) * np.float32(self.window.zoom)
        there = transform(self.camera.between(self.t, self.t + offset), self.window.places + steps)
        seen = look(self.camera.frames[self.t + offset], there, self.window.zoom)
        difference = cv2.absdiff(seen, self.now).astype(np.float32).mean(axis=-1)
        return blur(difference, 1.2), is_inside(there, size_of(self.camera.frames[0]))


class _MotionOdds(NamedTuple):
    """Log odds of the object's motion: by optical flow, and by matching warped frames."""

    flow: Plane
    match: Plane


def _motion_odds(scene: _Scene, likely: Plane) -> _MotionOdds | None:
    """Log odds that each pixel moves as the object does; None if no affine motion can be fitted.

    A pixel that is occluded before or after matches on one side of time only, and its optical flow on the other is
    wrong. So the side with the lower odds counts.
    """
    flows: dict[int, Plane] = {}
    matches: dict[int, Plane] = {}
    for offset, motion in scene.own.items():
        fit = fit_flow(motion, likely, 1)
        if fit is None:
            continue
        expected, spread = fit[0], max(0.5, fit[1])
        speed2 = (expected**2).sum(axis=-1)
        telling = np.minimum(1, speed2 / (_STILL_PX * scene.small_px) ** 2)
        flows[offset] = _flow_odds(motion, expected, spread, speed2, _NOISE_PX * scene.small_px) * telling
        matches[offset] = _match_odds(scene, offset, expected, likely) * telling
    if not flows:
        return None
    return _MotionOdds(_lower_side(flows, is_best=True), _lower_side(matches, is_best=False))


def _flow_odds(motion: FlowPx, expected: FlowPx, spread: float, speed2: Plane, noise: float) -> Plane:
    """Log odds, by optical flow, of the object's motion against rest, and against any other motion."""
    still = (motion**2).sum(axis=-1) / (noise**2 + 0.02 * speed2)
    along = ((motion - expected) ** 2).sum(axis=-1) / (noise**2 + _BENDS**2 * speed2 + (1.5 * spread) ** 2)
    against_still, against_other = (np.nan_to_num((other - along) / 2) for other in (still, 6.0))
    return np.minimum(np.clip(against_still, -2, 0.6), np.clip(against_other, -1, 0.6)).astype(np.float32)


def _match_odds(scene: _Scene, offset: int, expected: FlowPx, likely: Plane) -> Plane:
    """Log odds, by matching warped frames, of the object's motion against that of the surroundings.

    Relative to the median gain within the likely object. Where optical flow is near the expected motion, a match along
    it counts, too.
    """
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


def _lower_side(odds: Mapping[int, Plane], *, is_best: bool) -> Plane:
    """Lower of the log odds of past and future: of each the mean over its offsets, or over the better ones."""
    sides = []
    for sign in (1, -1):
        side = np.sort([one for offset, one in odds.items() if offset * sign > 0], axis=0)
        if len(side):
            sides.append(side[-(len(side) + 1) // 2 :].mean(axis=0) if is_best else side.mean(axis=0))
    return np.minimum.reduce(sides).astype(np.float32)


def _colour_odds(scene: _Scene, likely: Plane, clear: Plane) -> Plane:
    """Log odds of colour: histogram of the pixels that clearly move with the object against that of all others."""
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
    """Warp a mask from the window to a frame of this shape."""
    inverse = np.array([[1, 0, -window.left], [0, 1, -window.top]]) / window.zoom
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask.astype(np.float32), inverse, (shape[1], shape[0]), flags=flags) > 0.5
