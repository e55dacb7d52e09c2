"""Clips that are too short, or too still, for an atlas to be more than one of their frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from nvd_core.diagnosis.evidence import Case, Step, slopes
from nvd_core.diagnosis.finding import Diagnosis

_FRAMES: Final = 4
"""A clip with fewer is too short."""

_STILL: Final = 0.01
"""Where nothing travels further than this part of the frame's width, nothing is seen that was hidden."""

_GRID: Final = (8, 12)


def look(step: Step, layer: str) -> list[np.ndarray] | None:
    """Where points spread over the frame lie in every layer, in pixels; asked of the background only."""
    if layer != list(step.now.texels)[-1]:
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
    """Of the whole clip."""
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
            hint="Use more frames, so that what is hidden in one is seen in another.",
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
