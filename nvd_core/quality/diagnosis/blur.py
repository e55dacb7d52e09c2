"""Detect frames much less sharp than the others, by defocus or motion blur: paint stays sharp there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32

from nvd_core.image.filters import blur
from nvd_core.quality.diagnosis.evidence import Case, FramePair, likeness, luma
from nvd_core.quality.diagnosis.finding import Diagnosis, spoken

_BLURRED: Final = 0.6
"""Largest ratio of a frame's edge strength, along x or along y, to that of the clip's sharp frames that is blur."""

_SOFTER: Final = 0.8
"""Largest ratio of the plate's edge strength to the atlas's that is blur; where the map is off, the atlas is softer."""

_LEAST_FRAMES: Final = 5
_LEAST_PX: Final = 300
_ALIKE: Final = 0.6
"""Smallest correlation of plate and atlas at which they are compared; with less they do not show the same."""

_LEAST_DETAIL: Final = 0.01
"""Smallest edge strength, relative to brightness, at which blur can be seen on a surface."""


def look(step: FramePair, layer: str) -> float:
    """Ratio of the plate's edge strength to the atlas's, the smaller of x and y; NaN where it cannot be measured."""
    core = step.now.core(layer)
    if np.count_nonzero(core) < _LEAST_PX or likeness(step.now, core) < _ALIKE:
        return np.nan
    plate, flat = _edges(luma(step.now.plate), core), _edges(luma(step.now.flat), core)
    return float((plate / flat).min()) if flat.min() > _LEAST_DETAIL else np.nan


def judge(seen: Sequence[float], case: Case) -> Iterable[Diagnosis]:
    """Diagnose frames blurred in comparison with the clip's sharp ones; blur in all frames is the clip's style."""
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
            hint=f"Paint stays sharp there: blur the result in those frames{case.alone_without(frames)}.",
        )


def _edges(picture: Float32[np.ndarray, "height width"], core: np.ndarray) -> Float32[np.ndarray, " 2"]:
    """Edge strength along x and along y: RMS gradient relative to local brightness."""
    around = blur(picture, 6) + 0.02
    return np.array(
        [np.sqrt(((np.gradient(picture, axis=axis) / around)[core] ** 2).mean()) for axis in (1, 0)], np.float32
    )
