"""Detect objects that are occluded most of the time, or never seen whole: their motion is guessed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from nvd_core.quality.diagnosis.evidence import Case
from nvd_core.quality.diagnosis.finding import Diagnosis, spoken
from nvd_core.quality.diagnosis.surface import Seen, in_pieces, least_common, whole_share

_HALF: Final = 0.5
"""One threshold of four shares: of the best frame's surface, below which a frame hides the object; of hidden frames,
above which the object is hidden most of the time; of the whole surface in the best frame, below which the object is
put together from pieces; and of common surface, below which two frames show different parts."""

_PIECES: Final = 0.3
"""Largest share of frames in which an object is in several pieces; above it, something occludes its middle."""


def is_put_together(seen: Sequence[Seen]) -> bool:
    """Whether no frame shows the object whole because something occludes it."""
    return whole_share(seen) < _HALF or (in_pieces(seen) > _PIECES and least_common(seen)[0] < _HALF)


def judge(seen: Sequence[Seen], case: Case) -> Iterable[Diagnosis]:
    """Diagnose occlusion between the first and the last frame that show the object well; else it enters or leaves."""
    shown = np.array([int(one.cells.sum()) for one in seen])
    if case.is_place or not shown.max():
        return
    if is_put_together(seen):
        best = whole_share(seen)
        yield Diagnosis(
            name="hidden",
            layer=case.layer,
            value=best,
            threshold=_HALF,
            message=f"{case.layer} is never seen whole, in the best frame {best:.0%} of it",
            hint="Its parts may not fit together: paint each where the atlas shows it, and check paint on all frames.",
        )
        return
    well = shown >= _HALF * shown.max()
    first, last = np.flatnonzero(well)[[0, -1]]
    hidden = [t for t in range(first, last + 1) if not well[t]]
    share = len(hidden) / (last + 1 - first)
    if share > _HALF:
        frames = case.named_frames(hidden)
        yield Diagnosis(
            name="hidden",
            layer=case.layer,
            frames=frames,
            value=share,
            threshold=_HALF,
            message=f"{case.layer} is hidden for the greater part in {spoken(frames)}",
            hint="Its motion is guessed there; check paint behind what hides it, or use the frames that show it.",
        )
