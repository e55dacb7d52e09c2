"""What is wrong with a clip, said honestly: a module for each symptom, and one table of them.

A symptom has a ``look``, which takes from each frame and layer what it needs and is little, and a ``judge``, which
makes diagnoses of what was taken from all frames of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, final

from nvd_core.conventions import Size
from nvd_core.diagnosis import blur, hidden, leak, motion, parallax, quality, short, surface, turning
from nvd_core.diagnosis.evidence import Case, Step
from nvd_core.diagnosis.finding import Diagnosis

Findings: TypeAlias = dict[str, list[Any]]
"""For each layer what every symptom has taken from a frame."""


def _nothing(_: Step, __: str) -> None:
    """For those who judge by what is measured anyway."""


class Symptom(NamedTuple):
    """A way in which a clip or its decomposition can be weak."""

    look: Callable[[Step, str], Any]
    judge: Callable[[Sequence[Any], Case], Iterable[Diagnosis]]


SYMPTOMS: Final = (
    Symptom(short.look, short.judge),
    Symptom(blur.look, blur.judge),
    Symptom(motion.look, motion.judge),
    Symptom(leak.look, leak.judge),
    Symptom(parallax.look, parallax.judge),
    Symptom(surface.look, hidden.judge),
    Symptom(surface.look, turning.judge),
    Symptom(_nothing, quality.unfollowed),
    Symptom(_nothing, quality.unseen),
    Symptom(_nothing, quality.textured_light),
    Symptom(_nothing, quality.swimming),
    Symptom(_nothing, quality.folded),
)

_CAUSES: Final = {
    "parallax": frozenset({"mask_misses"}),
    "swimming": frozenset({"motion_too_large"}),
}
"""What is not said where its cause is."""


@final
@dataclass
class Examination:
    """What is taken from the frames of a clip on the way, until diagnoses are made of it.

    Attributes:
        numbers: plate numbers of the frames.
        plate: the plate's size.
    """

    numbers: range
    plate: Size
    _taken: list[Findings] = field(default_factory=list)
    _size: Size | None = None

    def look(self, step: Step) -> Findings:
        """What the symptoms take from a frame; safe to call from any thread."""
        return {layer: [symptom.look(step, layer) for symptom in SYMPTOMS] for layer in step.now.alphas}

    def keep(self, size: Size, findings: Findings) -> None:
        """Keep it; called in the order of frames."""
        self._size = size
        self._taken.append(findings)

    def diagnoses(self, metrics: dict[str, Any]) -> list[Diagnosis]:
        """What is wrong.

        Args:
            metrics: as :func:`nvd_core.measure.measure` returns them.
        """
        found: list[Diagnosis] = []
        layers, size = list(metrics["layers"]), self._size or self.plate
        for layer in layers:
            case = Case(
                layer=layer,
                numbers=self.numbers,
                size=size,
                plate=self.plate,
                is_place=layer == layers[-1],
                metrics=metrics["layers"][layer],
                clip=metrics,
            )
            for index, symptom in enumerate(SYMPTOMS):
                found += symptom.judge([findings[layer][index] for findings in self._taken], case)
        causes = {one.name for one in found}
        return [one for one in found if not causes & _CAUSES.get(one.name, frozenset())]
