"""Detect objects that move against the camera, without any mask of the user's.

In sampled frames, a connected region that moves against the camera by more than optical flow's error is a detection.
Detections that overlap where motion predicts them form a track. The longest and strongest tracks are segmented in
several frames, of which the most confident become key frames. A track that is confident nowhere is no object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from nvd_core.image.filters import blur
from nvd_core.image.geometry import pixel_grid, size_of, transform
from nvd_core.image.sample import warp
from nvd_core.roto.camera import Camera
from nvd_core.roto.outline import Motions, Outline, outline
from nvd_core.runtime.progress import SILENT, Progress

Mask = Bool[np.ndarray, "row column"]

_MOST: Final = 3
"""Most objects of a clip."""
_SAMPLES: Final = 64
"""Twice the most frames that are sampled; only a stride of 8, the farthest offset of the flow, samples more."""
_TRIES: Final = 16
"""Most frames in which a track is segmented."""

MOVES, _MOVES_SURELY = 3.0, 6.0
"""Least motion of a detection's pixels, relative to optical flow's error, and what a fifth of them must exceed."""
_SMALLEST: Final = 0.001
"""Least area of a detection, as a fraction of the frame."""
_GAP: Final = 3
"""Longest step of a track from detection to detection, in sampled frames."""
_WEAK: Final = 0.2
"""Least weight of a track, relative to the strongest."""
_LARGEST: Final = 0.6
"""Largest area of an object, as a fraction of the frame; what fills more is the scene itself."""
_CLEAR: Final = 0.12
_STEADY: Final = 0.4
"""Least values of an object's :class:`Outline`."""
_FAR, _NEARLY = 0.25, 0.5
"""Least distance between key frames of an object, as a fraction of the clip, and their worth relative to the best."""
_ON_SCREEN: Final = 0.7
"""Share of the contrast that is fixed on the screen from which on a track is an overlay, such as a logo."""


class Found(NamedTuple):
    """A detected object.

    Attributes:
        t: index of its best key frame.
        mask: there, at working size.
        confidence: of that mask, 0 to 1.
        others: masks of further key frames, by frame index, far from the first and from each other.
    """

    t: int
    mask: Bool[np.ndarray, "height width"]
    confidence: float
    others: Mapping[int, Bool[np.ndarray, "height width"]] = MappingProxyType({})


def find_objects(camera: Camera, progress: Progress = SILENT) -> tuple[Found, ...]:
    """Detect objects that move against the camera.

    Args:
        camera: the clip, with its camera's motion.
        progress: of detecting.

    Returns:
        The objects, the most confident first; none if nothing moves or no outline is confident.
    """
    count = len(camera.frames)
    stride = next((step for step in (1, 2, 4) if count <= step * _SAMPLES // 2), 8)
    times = range(0, count, stride)
    tracks: list[_Track] = []
    contrast = np.zeros((*camera.small(0).shape, 2), np.float32)
    detecting, outlining = progress.split(6, 4)
    for t in detecting.track(times, len(times)):
        contrast += _contrast(camera, t) / len(times)
        _associate(tracks, camera, t, _detect(t, Motions.seen(camera, t)), stride)
    tracks = _strongest(tracks, camera, contrast)
    objects: list[tuple[_Track, Found]] = []
    for track, part in outlining.each(tracks):
        outlines: list[tuple[_Detection, Outline]] = []
        chosen = track.best(count)
        for one in part.track(chosen, len(chosen)):
            drawn = outline(camera, one.t, Motions.seen(camera, one.t), one.mask)
            outlines += [(one, drawn)] if drawn is not None and _is_sure(drawn, is_panned=_pans(camera, one.t)) else []
        best = _best(outlines, count)
        if best is not None and not any(_is_same(track, best, *other) for other in objects):
            objects.append((track, best))
    return tuple(sorted((one for _, one in objects), key=lambda one: -one.confidence))


@final
@dataclass(frozen=True)
class _Detection:
    """Region of a frame that moves against the camera.

    Attributes:
        t: frame index.
        mask: at the size of :meth:`Camera.small`.
        strength: mean motion of its pixels, relative to optical flow's error.
        speed: median motion, small px a frame.
    """

    t: int
    mask: Mask
    strength: float
    speed: Float32[np.ndarray, " 2"]

    @property
    def weight(self) -> float:
        return float(self.mask.mean()) * min(self.strength, 10.0)

    def predicted(self, camera: Camera, t: int) -> Mask:
        """Mask expected in frame ``t``, by the camera's motion and a constant speed against it."""
        scale = np.float32(camera.frames[0].shape[0] / self.mask.shape[0])
        places = transform(camera.between(t, self.t), pixel_grid(size_of(self.mask)) * scale)
        there = places / scale - self.speed * (t - self.t)
        return warp(self.mask.astype(np.float32), there, outside=0) > 0.5


@final
class _Track:
    """Detections of one object, in the order of time."""

    def __init__(self, first: _Detection) -> None:
        self.detections = [first]

    @property
    def weight(self) -> float:
        return sum(one.weight for one in self.detections)

    def best(self, count: int) -> list[_Detection]:
        """Strongest detection of each part of the track, rather whole in the frame and away from the clip's ends."""

        def worth(one: _Detection) -> float:
            return one.weight * (0.3 if _is_cropped(one.mask) else 1) * (0.3 if _is_near_end(one.t, count) else 1)

        parts = min(_TRIES, len(self.detections))
        ends = [len(self.detections) * part // parts for part in range(parts + 1)]
        return [max(self.detections[start:end], key=worth) for start, end in pairwise(ends)]


def _is_cropped(mask: Bool[np.ndarray, "row column"]) -> bool:
    """Whether the frame's border crops a region."""
    edge = mask.copy()
    edge[1:-1, 1:-1] = False
    return bool(np.count_nonzero(edge) > 0.2 * np.sqrt(np.count_nonzero(mask)))


def _is_near_end(t: int, count: int) -> bool:
    """Whether occlusion cannot be detected in a frame, for want of frames on one side of time."""
    return not 2 <= t < count - 2


def strength_of(motions: Motions) -> Float64[np.ndarray, "row column"] | None:
    """Motion of each pixel against the camera, relative to optical flow's error; None without neighbouring frames."""
    moves = {
        offset: np.nan_to_num(np.linalg.norm(own, axis=-1) / np.hypot(0.4, 2 * motions.noise_px[offset]))
        for offset, own in motions.own.items()
    }
    sides = [np.sort([one for offset, one in moves.items() if offset * sign > 0], axis=0) for sign in (1, -1)]
    strengths = [side[-(len(side) + 1) // 2 :].mean(axis=0) for side in sides if len(side)]
    # Where a pixel is occluded on one side of time, optical flow is wrong there: the smaller side counts.
    return np.minimum.reduce(strengths) if strengths else None


def _detect(t: int, motions: Motions) -> list[_Detection]:
    """Detect the connected regions of a frame that move against the camera."""
    strength = strength_of(motions)
    if strength is None:
        return []
    count, parts, stats, _ = cv2.connectedComponentsWithStats((strength > MOVES).astype(np.uint8))
    nearest = min(motions.own, key=abs)
    detections = []
    for part in range(1, count):
        mask = parts == part
        if stats[part, cv2.CC_STAT_AREA] < _SMALLEST * mask.size or np.mean(strength[mask] > _MOVES_SURELY) < 0.2:
            continue
        speed = np.nan_to_num(np.nanmedian(motions.own[nearest][mask], axis=0)) / nearest
        detections.append(_Detection(t, mask, float(strength[mask].mean()), speed.astype(np.float32)))
    return detections


def _associate(tracks: list[_Track], camera: Camera, t: int, detections: Sequence[_Detection], stride: int) -> None:
    """Add a frame's detections to the tracks that predict them, by overlap, or begin new tracks."""
    live = [track for track in tracks if t - track.detections[-1].t <= _GAP * stride]
    predicted = [track.detections[-1].predicted(camera, t) for track in live]
    pairs = sorted(
        ((_overlap(mask, one.mask), i, j) for i, mask in enumerate(predicted) for j, one in enumerate(detections)),
        reverse=True,
    )
    taken: set[int] = set()
    for overlap, i, j in pairs:
        if overlap > 0.5 and j not in taken and live[i].detections[-1].t < t:
            live[i].detections.append(detections[j])
            taken.add(j)
    tracks += [_Track(one) for j, one in enumerate(detections) if j not in taken]


def _overlap(one: Mask, other: Mask) -> float:
    """Intersection of two masks, relative to the smaller one."""
    least = min(np.count_nonzero(one), np.count_nonzero(other))
    return np.count_nonzero(one & other) / least if least else 0.0


def _strongest(tracks: list[_Track], camera: Camera, contrast: Float32[np.ndarray, "row column 2"]) -> list[_Track]:
    """Strongest tracks of at least three detections that are no overlays; ``contrast`` is the clip's mean."""
    real = [
        track
        for track in tracks
        if len(track.detections) >= min(3, len(camera.frames)) and not _is_overlay(track, camera, contrast)
    ]
    real.sort(key=lambda track: -track.weight)
    return [track for track in real if track.weight > _WEAK * real[0].weight][:_MOST]


def _contrast(camera: Camera, t: int) -> Float32[np.ndarray, "row column 2"]:
    """Gradient (x, y) of a frame's luma, at the size of :meth:`Camera.small`."""
    smooth = blur(camera.small(t).astype(np.float32), 0.8)
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=0.25) for axis in ((1, 0), (0, 1))], axis=-1)


def _is_overlay(track: _Track, camera: Camera, mean: Float32[np.ndarray, "row column 2"]) -> bool:
    """Whether a track is fixed on the screen, as a logo is: its contrast is that of the clip's mean."""
    shares = []
    for one in track.best(len(camera.frames)):
        now = _contrast(camera, one.t)[one.mask]
        shares.append(float((now * mean[one.mask]).sum() / ((now**2).sum() + 1e-6)))
    return bool(np.median(shares) > _ON_SCREEN)


def _is_sure(drawn: Outline, *, is_panned: bool) -> bool:
    """Whether an outline is good enough for an object.

    None is that the border crops while the camera pans: what passes there mostly stands, and the camera moves.
    """
    if is_panned and _is_cropped(drawn.mask):
        return False
    return drawn.clear > _CLEAR and drawn.steady > _STEADY and _SMALLEST / 2 < drawn.area < _LARGEST


def _pans(camera: Camera, t: int) -> bool:
    """Whether the camera moves the centre of the frame by over a twentieth of its width within 8 frames."""
    height, width = camera.frames[0].shape[:2]
    middle = np.array([[width / 2, height / 2]], np.float32)
    there = [
        transform(camera.between(t, int(np.clip(t + step, 0, len(camera.frames) - 1))), middle) for step in (-8, 8)
    ]
    return max(float(np.linalg.norm(place - middle)) for place in there) > 0.05 * width


def _best(outlines: Sequence[tuple[_Detection, Outline]], count: int) -> Found | None:
    """Choose the key frames of a track; large outlines preferred, as they have more of what moves in several pieces."""
    if not outlines:
        return None

    def worth(one: tuple[_Detection, Outline]) -> float:
        detection, drawn = one
        return drawn.clear * drawn.steady * np.sqrt(drawn.area) * (0.5 if _is_near_end(detection.t, count) else 1)

    ordered = sorted(outlines, key=worth, reverse=True)
    taken: dict[int, Outline] = {}
    for detection, drawn in ordered:
        is_far = all(abs(detection.t - t) >= _FAR * count for t in taken)
        if is_far and worth((detection, drawn)) >= _NEARLY * worth(ordered[0]):
            taken[detection.t] = drawn
    (t, first), *others = taken.items()
    return Found(t, first.mask, _confidence(first), {t: drawn.mask for t, drawn in others})


def _confidence(drawn: Outline) -> float:
    """Confidence of an outline, 0 to 1."""
    return min(1.0, 2.5 * drawn.clear) * drawn.steady


def _is_same(track: _Track, one: Found, other_track: _Track, other: Found) -> bool:
    """Whether two tracks are one object's: the mask of either overlaps the other's detection in that frame."""

    def overlaps(mask: np.ndarray, t: int, of: _Track) -> bool:
        return any(
            _overlap(cv2.resize(mask.astype(np.uint8), there.mask.shape[::-1]) > 0, there.mask) > 0.5
            for there in of.detections
            if there.t == t
        )

    return overlaps(one.mask, one.t, other_track) or overlaps(other.mask, other.t, track)
