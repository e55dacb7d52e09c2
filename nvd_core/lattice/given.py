"""Flow that is given, followed along one layer: only through frames that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool

from nvd_core.flow.compose import Reached, Start, follow
from nvd_core.flow.given import GivenFlow


@final
@dataclass(frozen=True)
class LayerFlow:
    """Flow of a shot, for some of its frames in which a layer is looked at.

    Attributes:
        given: between all frames.
        core: the pixels of a frame of the shot that show the layer alone.
        order: the frames of the shot that are looked at.
    """

    given: GivenFlow
    core: Callable[[int], Bool[np.ndarray, "height width"]]
    order: Sequence[int]

    def part(self, which: Sequence[int]) -> LayerFlow:
        """Only some frames; the way between them still leads through all."""
        return LayerFlow(self.given, self.core, [self.order[t] for t in which])

    def follow(self, starts: Sequence[Start]) -> Iterator[Reached]:
        """See :func:`nvd_core.flow.compose.follow`; frames are counted as they are looked at."""
        looked_at = {t: place for place, t in enumerate(self.order)}
        through = [Start(self.order[one.frame], one.points, self.order[one.until]) for one in starts]
        for reached in follow(self.given, self.core, through):
            if reached.frame in looked_at:
                yield reached._replace(start=looked_at[reached.start], frame=looked_at[reached.frame])
