"""Detect objects by a learned instance segmenter, without any mask of the user's.

Some frames are segmented. Of the confident instances, those that move against the camera are the objects; all of them,
if none does. The frame that shows most of them becomes their key frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.roto.camera import Camera
from nvd_core.roto.discover import MOVES, Found, strength_of
from nvd_core.roto.outline import Motions
from nvd_core.runtime.progress import Progress

_SAMPLES: Final = 8
"""Frames that are segmented, spread over the clip."""
_MOST: Final = 3
"""Most objects of a clip."""
_SURE: Final = 0.7
"""Least score of an object."""
_SMALLEST, _LARGEST = 0.001, 0.6
"""Area of an object, as a fraction of the frame."""
_MOVING: Final = 0.5
"""Least fraction of a moving object's pixels that move against the camera."""


class Instances(NamedTuple):
    """Instance segmentation of a frame.

    Attributes:
        scores: confidence of each instance, 0 to 1.
        masks: at the frame's size.
    """

    scores: Float32[np.ndarray, " instance"]
    masks: Bool[np.ndarray, "instance height width"]


Recognise = Callable[[UInt8[np.ndarray, "height width 3"]], Instances]
"""Instance segmenter: RGB frame to instances."""


def find_known(camera: Camera, recognise: Recognise, progress: Progress) -> tuple[Found, ...]:
    """Detect objects by an instance segmenter.

    Args:
        camera: the clip, with its camera's motion.
        recognise: the segmenter.
        progress: of segmenting.

    Returns:
        The objects, the most confident first; none if no instance is confident.
    """
    count = len(camera.frames)
    times = [int(t) for t in np.unique(np.linspace(0, count - 1, min(_SAMPLES, count)).round())]
    instances: dict[int, Instances] = {}
    moving: dict[int, Float32[np.ndarray, " instance"]] = {}
    for t in progress.track(times, len(times)):
        instances[t] = recognise(camera.frames[t])
        moving[t] = _moving(camera, t, instances[t].masks)
    return objects_of(instances, moving)


def _moving(
    camera: Camera, t: int, masks: Bool[np.ndarray, "instance height width"]
) -> Float32[np.ndarray, " instance"]:
    """Fraction of each mask's pixels that move against the camera."""
    strength = strength_of(Motions.seen(camera, t))
    if strength is None:
        return np.zeros(len(masks), np.float32)
    moves = cv2.resize((strength > MOVES).astype(np.float32), camera.frames[t].shape[1::-1])
    return np.array([moves[mask].mean() if mask.any() else 0 for mask in masks], np.float32)


def objects_of(
    looks: Mapping[int, Instances], moving: Mapping[int, Float32[np.ndarray, " instance"]]
) -> tuple[Found, ...]:
    """Choose the objects and their key frame.

    Args:
        looks: instances, by frame index.
        moving: fraction of each instance that moves against the camera, by frame index.
    """
    known = {t: [index for index in range(len(one.scores)) if _is_plausible(one, index)] for t, one in looks.items()}
    do_move = {t: [index for index in some if moving[t][index] > _MOVING] for t, some in known.items()}
    chosen = do_move if any(do_move.values()) else known
    objects = {t: _distinct(looks[t], some) for t, some in chosen.items()}

    def worth(t: int) -> float:
        return sum(float(looks[t].scores[index] * np.sqrt(looks[t].masks[index].mean())) for index in objects[t])

    if not any(objects.values()):
        return ()
    best = max(sorted(objects), key=worth)
    return tuple(Found(best, looks[best].masks[index], float(looks[best].scores[index])) for index in objects[best])


def _is_plausible(known: Instances, index: int) -> bool:
    """Whether an instance has the confidence and the size of an object."""
    return bool(known.scores[index] > _SURE and _SMALLEST < known.masks[index].mean() < _LARGEST)


def _distinct(known: Instances, some: list[int]) -> list[int]:
    """Most confident instances, without those that lie mostly within a more confident one."""
    kept: list[int] = []
    for index in sorted(some, key=lambda one: -known.scores[one]):
        mask = known.masks[index]
        if not any(np.count_nonzero(mask & known.masks[one]) > 0.5 * np.count_nonzero(mask) for one in kept):
            kept.append(index)
    return kept[:_MOST]
