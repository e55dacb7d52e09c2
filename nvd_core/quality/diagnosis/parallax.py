"""Detect things in the background that do not move with it: nearer to the camera, or moving by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from nvd_core.image.geometry import Box, pixel_grid
from nvd_core.quality.diagnosis.evidence import NOISE, Case, FramePair, largest, led_to, left_over
from nvd_core.quality.diagnosis.finding import Diagnosis

_AREA: Final = 0.01
"""Smallest part of the frame that a thing covers."""

_OFF: Final = 0.004
_OFF_PX: Final = 1.0
"""Smallest distance of optical flow from the background's map on a thing, as a part of the frame's width and in px."""

_FRAMES: Final = 0.3
"""Smallest part of the frames that show such a thing, for a diagnosis."""

_BETTER: Final = 0.5
"""Largest ratio of the photometric error of optical flow to that of the background's map on a thing."""

_FOLLOWED: Final = 0.5
"""Smallest part of the background with cross-checked flow at which a frame is judged."""

_STRIDE: Final = 2
_EDGE_PX: Final = 4
"""Distance from other layers within which optical flow may be theirs."""


class Thing(NamedTuple):
    """The largest region of the background layer that does not move with it.

    Attributes:
        share: of the frame, 0 to 1.
        box: working px.
    """

    share: float
    box: Box


def look(step: FramePair, layer: str) -> Thing | None:
    """Find the largest region where optical flow explains the next frame and the background's map does not."""
    if step.before is None or step.flow_px is None or step.sure is None or layer != step.now.place:
        return None
    before, now, every = step.before, step.now, np.s_[::_STRIDE, ::_STRIDE]
    free = cv2.erode(before.alphas[layer], np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)) > 0.9
    if np.count_nonzero(free & step.sure) < _FOLLOWED * np.count_nonzero(free):
        return Thing(0.0, Box(0, 0, 0, 0))
    points = pixel_grid(now.size)[every].reshape(-1, 2)
    flowed = points + step.flow_px[every].reshape(-1, 2)
    mapped = led_to(before.texels[layer], now.texels[layer], points, np.zeros(2, np.float32))
    apart = np.linalg.norm(flowed - mapped, axis=-1) > max(_OFF_PX, _OFF * now.size.width)
    left_by_flow, left_by_map = (left_over(before, now, points, led) for led in (flowed, mapped))
    moving = (apart & (left_by_flow < _BETTER * left_by_map - NOISE)) & (free & step.sure)[every].ravel()
    moving = moving.reshape(free[every].shape).astype(np.uint8)
    joined = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    things = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    thing = largest(things)
    return Thing(thing.area_px / things.size, Box(*(_STRIDE * number for number in thing.box)))


def judge(seen: Sequence[Thing | None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose independent motion, with its box in the frame in which it is largest."""
    things = {t - 1: one for t, one in enumerate(seen) if one is not None and one.share > _AREA}
    if len(things) <= _FRAMES * (len(seen) - 1):
        return
    t = max(things, key=lambda t: things[t].share)
    box = case.plate_box(things[t].box)
    yield Diagnosis(
        name="parallax",
        layer=case.layer,
        frames=case.named_frames(things),
        value=things[t].share,
        threshold=_AREA,
        message=f"Something in the {case.layer} does not move with it, being nearer to the camera or moving by itself:"
        f" in frame {case.numbers[t]} {box}",
        hint="Give it a layer of its own, with a mask; else paint on and behind it slides.",
        box=box,
    )
