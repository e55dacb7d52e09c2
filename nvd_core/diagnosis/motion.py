"""Motion that is too large to be followed: the layer is lost from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from nvd_core.diagnosis.evidence import Case, Look, Step, detail, likeness, luma
from nvd_core.diagnosis.finding import Diagnosis, spoken

_LOST: Final = 0.4
"""Where atlas and plate are less alike than this (correlation of their detail), the layer was not followed."""

_FAR: Final = 0.1
"""Motion by this part of the frame's width in a frame is more than flow was made for."""

_LEAST_PX: Final = 300
_FOLLOWED: Final = 0.3
"""And where optical flow follows less than this part of it."""

_AGREEMENT: Final = 0.15
"""Of two pictures whose spectra agree by less than this part it is not known how far they have moved."""


class Travel(NamedTuple):
    """A layer from a frame to the next.

    Attributes:
        alike: correlation of the detail of plate and atlas.
        followed: part of the layer that optical flow follows.
        px: how far it has moved as a whole.
    """

    alike: float
    followed: float
    px: float


def look(step: Step, layer: str) -> Travel:
    """How far the layer has moved, and whether its map has moved with it."""
    core = step.now.core(layer)
    if np.count_nonzero(core) < _LEAST_PX:
        return Travel(np.nan, np.nan, np.nan)
    alike = likeness(step.now, core)
    if step.before is None or step.sure is None:
        return Travel(alike, 1.0, 0.0)
    before = step.before.core(layer)
    followed = float(step.sure[before].mean()) if before.any() else np.nan
    return Travel(alike, followed, _moved_px(step.before, step.now, layer))


def judge(seen: Sequence[Travel], case: Case) -> Iterable[Diagnosis]:
    """Where it moves far and was not followed; fast motion that was followed is none."""
    far = _FAR * case.size.width
    leaps = {t for t, one in enumerate(seen) if one.followed < _FOLLOWED and one.px > far}
    lost = [t for t, one in enumerate(seen) if one.alike < _LOST and leaps & {t, t + 1}]
    if lost:
        frames = case.named_frames(lost)
        px = max(seen[t].px for t in leaps)
        yield Diagnosis(
            name="motion_too_large",
            layer=case.layer,
            frames=frames,
            value=px / case.size.width,
            threshold=_FAR,
            message=f"{case.named} moves by up to {case.plate_px(px):.0f} px from one frame to the next and was not"
            f" followed in {spoken(frames)}",
            hint="Footage with more frames a second helps; else leave those frames out with --frames.",
        )


def _moved_px(before: Look, now: Look, layer: str) -> float:
    """How far what the layer shows has moved as a whole, found by its spectrum: at any distance."""
    here, there = (detail(luma(one.plate)) * one.alphas[layer] for one in (before, now))
    (x, y), agreement = cv2.phaseCorrelate(here, there, cv2.createHanningWindow(now.size, cv2.CV_32F))
    return float(np.hypot(x, y)) if agreement > _AGREEMENT else 0.0
