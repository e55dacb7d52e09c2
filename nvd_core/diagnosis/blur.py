"""Frames that are much less sharp than the others, out of focus or by motion: paint stays sharp there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.diagnosis.evidence import Case, Step, likeness, luma
from nvd_core.diagnosis.finding import Diagnosis, spoken

_BLURRED: Final = 0.6
"""Edges this much weaker, along x or along y, than those of the clip's sharp frames show as blur."""

_SOFTER: Final = 0.8
"""And those of the atlas by this: where the map is off, the atlas is the softer one."""

_LEAST_FRAMES: Final = 5
_LEAST_PX: Final = 300
_ALIKE: Final = 0.6
"""Where plate and atlas are less alike than this they do not show the same, and are not compared."""

_LEAST_DETAIL: Final = 0.01
"""A surface with weaker edges than this, as a part of its brightness, looks the same with and without blur."""


def look(step: Step, layer: str) -> float:
    """How strong the edges of the plate are as a part of the atlas's; not a number where there are none."""
    core = step.now.core(layer)
    if np.count_nonzero(core) < _LEAST_PX or likeness(step.now, core) < _ALIKE:
        return np.nan
    plate, flat = _edges(luma(step.now.plate), core), _edges(luma(step.now.flat), core)
    return float((plate / flat).min()) if flat.min() > _LEAST_DETAIL else np.nan


def judge(seen: Sequence[float], case: Case) -> Iterable[Diagnosis]:
    """Compared with the sharp frames of the same clip; what all frames lack is the clip's look."""
    sharpness = np.array(seen)
    known = sharpness[~np.isnan(sharpness)]
    if len(known) < _LEAST_FRAMES:
        return
    relative = sharpness / np.percentile(known, 80)
    blurred = (relative < _BLURRED) & (sharpness < _SOFTER)
    if np.any(blurred):
        frames = case.named_frames(np.flatnonzero(blurred).tolist())
        yield Diagnosis(
            name="blur",
            layer=case.layer,
            frames=frames,
            value=float(np.nanmin(relative)),
            threshold=_BLURRED,
            message=f"{case.named} is blurred in {spoken(frames)}, by motion or focus",
            hint="Paint stays sharp there: blur the result in those frames, or leave them out with --frames.",
        )


def _edges(picture: Float32[np.ndarray, "height width"], core: np.ndarray) -> Float32[np.ndarray, " 2"]:
    """Strength of edges along x and along y, as a part of the brightness around."""
    around = cv2.GaussianBlur(picture, (0, 0), 6) + 0.02
    return np.array(
        [np.sqrt(((np.gradient(picture, axis=axis) / around)[core] ** 2).mean()) for axis in (1, 0)], np.float32
    )
