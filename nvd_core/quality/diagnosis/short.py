"""Detect clips too short, or too still, for an atlas to be more than one of their frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from nvd_core.quality.diagnosis.evidence import Case, FramePair, slopes
from nvd_core.quality.diagnosis.finding import Diagnosis

_FRAMES: Final = 4
"""Fewest frames of a clip that is not too short."""

_STILL: Final = 0.01
"""Smallest motion over the clip, as a part of the frame's width; with less, nothing occluded is ever revealed."""

_GRID: Final = (8, 12)


def look(step: FramePair, layer: str) -> list[np.ndarray] | None:
    """Atlas positions of a grid of points in every layer, px of the frame; None for layers but the background."""
    if layer != step.now.place:
        return None
    places = []
    for texels in step.now.texels.values():
        rows, columns = (np.linspace(0, n - 1, k).astype(int) for n, k in zip(texels.shape[:2], _GRID, strict=True))
        along_x, along_y = slopes(texels)
        areas = np.abs(along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0])
        density = np.sqrt(max(float(np.median(areas)), 1e-9))
        places.append(texels[np.ix_(rows, columns)] / density)
    return places


def judge(seen: Sequence[list[np.ndarray] | None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose a short or still clip, once, with the background."""
    if not case.is_place:
        return
    count = len(case.numbers)
    if count < _FRAMES:
        yield Diagnosis(
            name="too_short",
            value=count,
            threshold=_FRAMES,
            message="There is a single frame: its atlas is the picture itself"
            if count == 1
            else f"There are only {count} frames: an atlas is little more than one of them",
            hint="Use more frames, if there are any, so that what is hidden in one is seen in another.",
        )
        return
    paths = [np.stack(places) for places in zip(*(places for places in seen if places is not None), strict=True)]
    travels = [float(np.median(np.linalg.norm(path - path[0], axis=-1), axis=(1, 2)).max()) for path in paths]
    travel = max(travels) / case.size.width
    if travel < _STILL:
        yield Diagnosis(
            name="too_short",
            value=travel,
            threshold=_STILL,
            message=f"Hardly anything moves (by {case.plate_px(max(travels)):.1f} px at most): the atlases are the"
            " frame itself, and what an object hides is seen in no frame",
            hint="Use a longer range if there is one; else painting on a frame does as well.",
        )
