"""Objects that turn another side to the camera: no single view holds all of their surface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nvd_core.diagnosis.evidence import Case
from nvd_core.diagnosis.finding import Diagnosis
from nvd_core.diagnosis.hidden import is_put_together
from nvd_core.diagnosis.surface import Seen, least_common

_COMMON: Final = 0.5
"""Two frames that show as much of an object and have less than this of its surface in common show different sides."""


def judge(seen: Sequence[Seen], case: Case) -> Iterable[Diagnosis]:
    """Points leave on one side of its outline and come in on the other."""
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
            hint="Paint every side where the atlas shows it, or decompose the range of each side with --frames.",
        )
