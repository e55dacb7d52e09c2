"""What is wrong with a clip, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, final

from nvd_core.protocol import Caution


class Box(NamedTuple):
    """A rectangle of a frame; the end is excluded."""

    left: int
    top: int
    right: int
    bottom: int

    def __str__(self) -> str:
        return f"from x {self.left} to {self.right}, y {self.top} to {self.bottom}"


@final
@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One finding.

    Attributes:
        name: of the symptom, the same in every version.
        layer: which layer has it; empty for the clip.
        frames: plate numbers of the frames that show it; none if that is the whole clip.
        value: what was measured; symptoms say of what.
        threshold: where the symptom begins.
        message: one sentence without its full stop: what is wrong, and where.
        hint: what to do, one or more sentences.
        box: where it is in the frame that the message names, px of the plate: left, top, right, bottom.
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
        """For ``report.json``."""
        return asdict(self) | {"value": round(self.value, 3)}


def cautions(diagnoses: Iterable[Diagnosis]) -> Iterator[Caution]:
    """What is told of them while the job runs."""
    return (Caution(message=one.message, hint=one.hint) for one in diagnoses)


def spoken(frames: Iterable[int]) -> str:
    """Frame numbers as people write them: ``frame 7``, ``frames 7-9 and 12``."""
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
