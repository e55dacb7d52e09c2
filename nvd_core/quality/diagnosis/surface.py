"""Measure which parts of an object's surface, as cells of its atlas, each frame shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool

from nvd_core.quality.diagnosis.evidence import FramePair

_CELLS: Final = 16
"""Cells of the atlas along each axis."""

_STRIDE: Final = 2

_WHOLE: Final = 0.7
"""Smallest part of the object's largest area in a frame that shows it well; it must not touch the frame's edge."""

_PIECE: Final = 0.1
"""Smallest part of the visible area that counts as a piece, where something occludes the middle of an object."""


class Seen(NamedTuple):
    """Visible part of a layer in a frame.

    Attributes:
        cells: mask of the atlas cells in view.
        area_px: pixels of the layer.
        is_cut_off: whether it touches the frame's edge.
        is_in_pieces: whether its pixels fall into several large connected regions.
    """

    cells: Bool[np.ndarray, " cell"]
    area_px: int
    is_cut_off: bool
    is_in_pieces: bool


def look(step: FramePair, layer: str) -> Seen:
    """Measure the visible part of a layer in a frame."""
    inside = step.now.alphas[layer] > 0.5
    columns, rows = step.now.atlases[layer]
    texels = step.now.texels[layer][::_STRIDE, ::_STRIDE][inside[::_STRIDE, ::_STRIDE]]
    places = np.floor((texels + 0.5) / (columns, rows) * _CELLS).astype(np.intp)
    places = places[((places >= 0) & (places < _CELLS)).all(axis=-1)]
    cells = np.zeros(_CELLS * _CELLS, bool)
    cells[places[:, 0] + _CELLS * places[:, 1]] = True
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    area = int(np.count_nonzero(inside))
    sizes = cv2.connectedComponentsWithStats(inside.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return Seen(cells, area, bool(edge.any()), int((sizes > _PIECE * area).sum()) > 1)


def whole_share(seen: Sequence[Seen]) -> float:
    """Share of the layer's surface, seen in at least two frames, that the best frame shows, 0 to 1; 1 if none is."""
    shown = np.stack([one.cells for one in seen])
    every = int(np.count_nonzero(shown.sum(axis=0) >= min(2, len(seen))))
    return min(1.0, int(shown.sum(axis=1).max()) / every) if every else 1.0


def least_common(seen: Sequence[Seen]) -> tuple[float, int, int]:
    """Find the two frames that show the layer well with the least surface in common.

    Returns:
        The common share of the smaller one's surface, 0 to 1, and the indices of the two frames.
    """
    largest = max(one.area_px for one in seen)
    well = [
        t for t, one in enumerate(seen) if one.area_px > _WHOLE * largest and not one.is_cut_off and one.cells.any()
    ]
    if not well:
        return 1.0, 0, 0
    cells = np.stack([seen[t].cells for t in well]).astype(float)
    sums = cells.sum(axis=1)
    common = cells @ cells.T / np.minimum.outer(sums, sums)
    a, b = sorted(int(index) for index in np.unravel_index(common.argmin(), common.shape))
    return float(common[a, b]), well[a], well[b]


def in_pieces(seen: Sequence[Seen]) -> float:
    """Share of the frames in which the layer is in pieces, 0 to 1."""
    return float(np.mean([one.is_in_pieces for one in seen]))
