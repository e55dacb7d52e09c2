"""Track points of one layer along the user's flow, through frames that show the layer."""

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
    """The user's flow for one layer, seen from a subset of the shot's frames.

    Attributes:
        given: flow between all frames of the shot.
        core: function from a frame of the shot to the pixels that show the layer alone.
        order: frames of the subset, as indices into the shot.
    """

    given: GivenFlow
    core: Callable[[int], Bool[np.ndarray, "height width"]]
    order: Sequence[int]

    def part(self, which: Sequence[int]) -> LayerFlow:
        """Keep some frames of the subset; tracks still pass through all frames of the shot."""
        return LayerFlow(self.given, self.core, [self.order[t] for t in which])

    def follow(self, starts: Sequence[Start]) -> Iterator[Reached]:
        """Track points by :func:`nvd_core.flow.compose.follow`; frames are indices into the subset."""
        index = {t: place for place, t in enumerate(self.order)}
        in_shot = [Start(self.order[one.frame], one.points, self.order[one.until]) for one in starts]
        for reached in follow(self.given, self.core, in_shot):
            if reached.frame in index:
                yield reached._replace(start=index[reached.start], frame=index[reached.frame])
