"""Detect objects that turn another side to the camera: no single view holds all of their surface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nvd_core.quality.diagnosis.evidence import Case
from nvd_core.quality.diagnosis.finding import Diagnosis
from nvd_core.quality.diagnosis.hidden import is_put_together
from nvd_core.quality.diagnosis.surface import Seen, least_common

_COMMON: Final = 0.5
"""Smallest common share of surface of two frames that show an object well and the same side of it."""


def judge(seen: Sequence[Seen], case: Case) -> Iterable[Diagnosis]:
    """Diagnose rotation: points leave on one side of the outline, and others come in on the other."""
    if case.is_place or is_put_together(seen):
        return
    common, a, b = least_common(seen)
    if common < _COMMON:
        yield Diagnosis(
            name="turning",
            layer=case.layer,
            frames=case.named_frames((a, b)),
            value=common,
            threshold=_COMMON,
            message=f"{case.layer} turns another side to the camera: its frames {case.numbers[a]} and"
            f" {case.numbers[b]} have {common:.0%} of the surface in common",
            hint="Paint every side where the atlas shows it"
            f"{', or decompose the range of each side by itself' if case.or_shorter() else ''}.",
        )
