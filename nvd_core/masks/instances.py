"""Objects that a learned model knows, found with nothing given.

Some frames are shown to the model. Of what it is sure of, that is taken which moves against the camera; all of it, if
nothing does. The objects get their first masks in the one frame that shows the most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.masks.camera import Camera
from nvd_core.masks.motion import MOVES, Found, strength_of
from nvd_core.masks.outline import Motions

_LOOKS: Final = 8
"""Frames that are shown to the model, spread over the clip."""
_MOST: Final = 3
"""Objects that are told."""
_SURE: Final = 0.7
_SMALLEST, _LARGEST = 0.001, 0.6
"""Part of the frame that an object fills."""
_MOVING: Final = 0.5
"""Part of an object that moves by itself, if it does."""


class Instances(NamedTuple):
    """What a model knows in a frame.

    Attributes:
        scores: how sure it is of each, 0 to 1.
        masks: at the frame's size.
    """

    scores: Float32[np.ndarray, " instance"]
    masks: Bool[np.ndarray, "instance height width"]


Recognise = Callable[[UInt8[np.ndarray, "height width 3"]], Instances]
"""A model, shown a frame."""


def find_known(camera: Camera, recognise: Recognise) -> Generator[float, None, tuple[Found, ...]]:
    """Find what a model knows.

    Args:
        camera: the clip.
        recognise: the model.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        The objects, the surest first; none if it is sure of nothing.
    """
    count = len(camera.frames)
    times = [int(t) for t in np.unique(np.linspace(0, count - 1, min(_LOOKS, count)).round())]
    looks: dict[int, Instances] = {}
    moving: dict[int, Float32[np.ndarray, " instance"]] = {}
    for done, t in enumerate(times, 1):
        looks[t] = recognise(camera.frames[t])
        moving[t] = _moving(camera, t, looks[t].masks)
        yield done / len(times)
    return objects_of(looks, moving)


def _moving(
    camera: Camera, t: int, masks: Bool[np.ndarray, "instance height width"]
) -> Float32[np.ndarray, " instance"]:
    """The part of each mask that moves against the camera."""
    strength = strength_of(Motions.seen(camera, t))
    if strength is None:
        return np.zeros(len(masks), np.float32)
    moves = cv2.resize((strength > MOVES).astype(np.float32), camera.frames[t].shape[1::-1])
    return np.array([moves[mask].mean() if mask.any() else 0 for mask in masks], np.float32)


def objects_of(
    looks: Mapping[int, Instances], moving: Mapping[int, Float32[np.ndarray, " instance"]]
) -> tuple[Found, ...]:
    """Choose the objects, and the frame that has their first masks.

    Args:
        looks: by frame index, what is known there.
        moving: likewise, the part of each that moves by itself.
    """
    known = {t: [index for index in range(len(one.scores)) if _counts(one, index)] for t, one in looks.items()}
    do_move = {t: [index for index in some if moving[t][index] > _MOVING] for t, some in known.items()}
    chosen = do_move if any(do_move.values()) else known
    objects = {t: _apart(looks[t], some) for t, some in chosen.items()}

    def worth(t: int) -> float:
        return sum(float(looks[t].scores[index] * np.sqrt(looks[t].masks[index].mean())) for index in objects[t])

    if not any(objects.values()):
        return ()
    best = max(sorted(objects), key=worth)
    return tuple(Found(best, looks[best].masks[index], float(looks[best].scores[index])) for index in objects[best])


def _counts(look: Instances, index: int) -> bool:
    return bool(look.scores[index] > _SURE and _SMALLEST < look.masks[index].mean() < _LARGEST)


def _apart(look: Instances, some: list[int]) -> list[int]:
    """The surest, without those that are mostly the same as, or part of, a surer one."""
    kept: list[int] = []
    for index in sorted(some, key=lambda one: -look.scores[one]):
        mask = look.masks[index]
        if not any(np.count_nonzero(mask & look.masks[one]) > 0.5 * np.count_nonzero(mask) for one in kept):
            kept.append(index)
    return kept[:_MOST]
