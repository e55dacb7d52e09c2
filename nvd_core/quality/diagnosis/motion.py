"""Detect motion too large to track: the layer is lost from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from nvd_core.quality.diagnosis.evidence import Case, FramePair, MeasuredFrame, detail, likeness, luma
from nvd_core.quality.diagnosis.finding import Diagnosis, spoken

_LOST: Final = 0.4
"""Correlation of the detail of plate and atlas below which tracking failed."""

_FAR: Final = 0.1
"""Motion per frame, as a part of the frame's width, above which optical flow fails."""

_LEAST_PX: Final = 300
_FOLLOWED: Final = 0.3
"""Part of the layer with cross-checked flow below which flow lost it."""

_AGREEMENT: Final = 0.15
"""Smallest response of phase correlation at which its shift is believed."""


class Travel(NamedTuple):
    """Motion of a layer from a frame to the next.

    Attributes:
        alike: correlation of the detail of plate and atlas.
        followed: part of the layer with cross-checked flow, 0 to 1.
        px: length of its global shift, working px.
    """

    alike: float
    followed: float
    px: float


def look(step: FramePair, layer: str) -> Travel:
    """Measure the layer's shift, and whether flow and map have followed it."""
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
    """Diagnose frames where the layer moves far and tracking failed; fast motion that was tracked is fine."""
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
            hint=f"Use footage with more frames a second if there is some{case.alone_without(frames)}.",
        )


def _moved_px(before: MeasuredFrame, now: MeasuredFrame, layer: str) -> float:
    """Length of the layer's global shift by phase correlation, working px; 0 if it is not reliable."""
    here, there = (detail(luma(one.plate)) * one.alphas[layer] for one in (before, now))
    (x, y), agreement = cv2.phaseCorrelate(here, there, cv2.createHanningWindow(now.size, cv2.CV_32F))
    return float(np.hypot(x, y)) if agreement > _AGREEMENT else 0.0
