"""Diagnose a decomposition: a module for each symptom, and one table of them.

A symptom has a ``look``, which extracts a small piece of evidence from each frame and layer, and a ``judge``, which
turns the evidence of all frames of a layer into diagnoses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, final

from nvd_core.quality.diagnosis import blur, bright, hidden, leak, motion, parallax, quality, short, surface, turning
from nvd_core.quality.diagnosis.evidence import Case, FramePair
from nvd_core.quality.diagnosis.finding import Diagnosis
from nvd_core.spec.conventions import Size

Findings: TypeAlias = dict[str, list[Any]]
"""Evidence of one frame: for each layer a list in the order of :data:`SYMPTOMS`."""


def _nothing(_: FramePair, __: str) -> None:
    """Extract no evidence, for symptoms that judge by the metrics alone."""


class Symptom(NamedTuple):
    """A weakness of a clip or its decomposition: how to extract its evidence, and how to judge it."""

    look: Callable[[FramePair, str], Any]
    judge: Callable[[Sequence[Any], Case], Iterable[Diagnosis]]


SYMPTOMS: Final = (
    Symptom(bright.look, bright.judge),
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
"""Causes of a symptom; a diagnosis is dropped where one of its causes is diagnosed."""


@final
@dataclass
class Examination:
    """Evidence collected frame by frame, and the diagnoses made of it.

    Attributes:
        numbers: plate numbers of the frames.
        plate: size of the plate.
        place: name of the background.
    """

    numbers: range
    plate: Size
    place: str
    _taken: list[Findings] = field(default_factory=list)
    _size: Size | None = None

    def look(self, step: FramePair) -> Findings:
        """Extract every symptom's evidence from a frame; thread-safe."""
        looks = {symptom.look for symptom in SYMPTOMS}  # some symptoms share one
        evidence = {layer: {look: look(step, layer) for look in looks} for layer in step.now.alphas}
        return {layer: [found[symptom.look] for symptom in SYMPTOMS] for layer, found in evidence.items()}

    def keep(self, size: Size, findings: Findings) -> None:
        """Append a frame's evidence; call in the order of frames.

        Args:
            size: working size.
            findings: as :meth:`look` returns them.
        """
        self._size = size
        self._taken.append(findings)

    def diagnoses(self, metrics: dict[str, Any]) -> list[Diagnosis]:
        """Judge the evidence of all frames, layer by layer; consequences of a diagnosed cause are dropped.

        Args:
            metrics: as :func:`nvd_core.quality.measure.measure` returns them.
        """
        found: list[Diagnosis] = []
        for layer, measured in metrics["layers"].items():
            case = Case(
                layer=layer,
                numbers=self.numbers,
                size=self._size or self.plate,
                plate=self.plate,
                is_place=layer == self.place,
                metrics=measured,
                clip=metrics,
            )
            for index, symptom in enumerate(SYMPTOMS):
                found += symptom.judge([findings[layer][index] for findings in self._taken], case)
        causes = {one.name for one in found}
        return [one for one in found if not causes & _CAUSES.get(one.name, frozenset())]
