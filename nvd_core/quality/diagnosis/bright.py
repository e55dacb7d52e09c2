"""Detect light beyond the range of half floats, where atlas and rebuilt frame are clipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nvd_core.image.exr import HALF_MOST
from nvd_core.quality.diagnosis.evidence import Case, FramePair
from nvd_core.quality.diagnosis.finding import Diagnosis, spoken

NAME: Final = "too_bright"


def look(step: FramePair, layer: str) -> bool:
    """Whether the layer reaches the limit of half floats in the frame."""
    return layer in step.now.brightest


def judge(seen: Sequence[bool], case: Case) -> Iterable[Diagnosis]:
    """Diagnose clipped light in every frame that reaches the limit."""
    if any(seen):
        frames = case.named_frames(t for t, is_reached in enumerate(seen) if is_reached)
        yield Diagnosis(
            name=NAME,
            layer=case.layer,
            frames=frames,
            value=sum(seen),
            threshold=0,
            message=f"{case.named} reaches {HALF_MOST:.0f}, the most that half floats hold, in {spoken(frames)}: what"
            " is brighter is cut off in its atlas and in the rebuilt frame",
            hint="What is not painted on keeps the plate's light; for the rest, scale the plate's light down.",
        )
