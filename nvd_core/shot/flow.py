"""Optical flow between two frames of a shot in both directions, and its cross-check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool

from nvd_core.flow.dis import FlowPx, Grey, dis_flow
from nvd_core.image.geometry import is_inside, pixel_grid, size_of
from nvd_core.image.sample import warp
from nvd_core.shot import Shot

_SURE_PX: Final = 1.0
"""Largest forward-backward error of a flow vector that counts, px (papers: 1 px)."""


def sure_flow(there: FlowPx, back: FlowPx) -> Bool[np.ndarray, "height width"]:
    """Forward-backward cross-check: flow ends inside the frame, and the flow back ends within a pixel of the start."""
    ends = pixel_grid(size_of(there)) + there
    return is_inside(ends, size_of(there)) & (np.linalg.norm(there + warp(back, ends), axis=-1) < _SURE_PX)


def both_ways(shot: Shot, greys: Sequence[Grey], t: int) -> tuple[FlowPx, FlowPx]:
    """Optical flow from frame t to the next and back: the user's, or by dense inverse search (DIS) on grey frames."""
    if shot.flow is not None:
        return shot.flow.pair(t, t + 1)
    return dis_flow(greys[t], greys[t + 1]), dis_flow(greys[t + 1], greys[t])
