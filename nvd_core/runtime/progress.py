"""Progress of a job: handed down to its steps, which call it; whoever hears it may cancel the job by raising."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, TypeAlias, TypeVar, final

from nvd_core.spec import protocol
from nvd_core.spec.protocol import Event, Stage

Item = TypeVar("Item")

Tell: TypeAlias = Callable[[Event], object]
"""Hears events. An exception in it cancels the job: nothing is half-written then, and finished parts are kept."""


@final
@dataclass(frozen=True)
class Progress:
    """Progress of a step, 0 to 1, as a part of its stage's.

    Attributes:
        tell: hears all events.
        start: of the part within the stage.
        share: of the stage.
    """

    tell: Tell
    start: float = 0.0
    share: float = 1.0

    def __call__(self, done: float) -> None:
        """Tell how much of the step is done, 0 to 1."""
        self.tell(protocol.Progress(done=self.start + self.share * done))

    def stage(self, name: str, layer: str = "") -> Progress:
        """Announce a stage, whose progress this is."""
        self.tell(Stage(name=name, layer=layer))
        return self

    def split(self, *weights: float) -> list[Progress]:
        """Divide into consecutive parts, as long as their weights."""
        unit = self.share / sum(weights)
        starts = (self.start + unit * end for end in accumulate(weights, initial=0.0))
        return [Progress(self.tell, start, unit * weight) for weight, start in zip(weights, starts, strict=False)]

    def each(self, items: Sequence[Item]) -> Iterator[tuple[Item, Progress]]:
        """Pair items with equal parts of the progress."""
        return zip(items, self.split(*[1] * len(items)) if items else (), strict=True)

    def track(self, items: Iterable[Item], count: int) -> Iterator[Item]:
        """Pass on ``count`` items, and tell progress after each. A generator has ended when the job is cancelled."""
        try:
            for done, item in enumerate(items, 1):
                yield item
                self(done / count)
        finally:
            if isinstance(items, Generator):
                items.close()


SILENT: Final = Progress(lambda _: None)
"""Progress that nobody hears."""
