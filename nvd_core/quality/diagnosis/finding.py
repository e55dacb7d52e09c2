"""A diagnosis: what is wrong with a clip, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, final

from nvd_core.image.geometry import Box
from nvd_core.runtime.progress import Tell
from nvd_core.spec.protocol import Caution


@final
@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One diagnosed weakness.

    Attributes:
        name: of the symptom, stable over versions.
        layer: that has it; empty for the clip.
        frames: plate numbers of the frames that show it; empty for the whole clip.
        value: measured value, in the symptom's own unit.
        threshold: value at which the symptom begins.
        message: one sentence without its full stop: what is wrong, and where.
        hint: what to do, one or more sentences.
        box: region in the frame that the message names, plate px.
    """

    name: str
    layer: str = ""
    frames: tuple[int, ...] = ()
    value: float
    threshold: float
    message: str
    hint: str
    box: Box | None = None

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}"

    def facts(self) -> dict[str, Any]:
        """Dictionary for ``report.json``."""
        return asdict(self) | {"value": round(self.value, 3)}


def caution(diagnoses: Iterable[Diagnosis], tell: Tell) -> None:
    """Tell of diagnoses as cautions."""
    for one in diagnoses:
        tell(Caution(message=one.message, hint=one.hint))


def spoken(frames: Iterable[int]) -> str:
    """Write frame numbers as people do: ``frame 7``, ``frames 7-9 and 12``."""
    spans: list[list[int]] = []
    for number in sorted(frames):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = [f"{first}-{last}" if last > first else str(first) for first, last in spans]
    if len(words) > 4:
        words = [*words[:3], f"{len(words) - 3} more places"]
    listed = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return f"frames {listed}" if len(words) > 1 or "-" in listed else f"frame {listed}"
