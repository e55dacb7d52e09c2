"""Step 6: no fold-overs. Where a map turns its surface inside out, it is smoothed until it does not."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.lattice.imaging import blur
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.parallel import map_ordered
from nvd_core.steps import gathered

_LEAST_AREA: Final = 0.05
"""A pixel of the frame may shrink to this part of its area in the layer's picture, but not further."""

_ROUNDS: Final = 60
_PATIENCE: Final = 10
"""Rounds of smoothing before its radius grows."""


def unfold(layer: LayerView, mapping: LayerMap) -> Generator[float, None, LayerMap]:
    """The same map without fold-overs where the layer is visible."""

    def mended(t: int) -> Float32[np.ndarray, "row column 2"]:
        lattice, nodes = mapping.lattice, mapping.nodes[t]
        inside = cv2.dilate(layer.inside(t).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for done in range(_ROUNDS):
            folded = (_pixel_areas(lattice, nodes) < _LEAST_AREA) & inside
            if not folded.any():
                break
            row, column = np.nonzero(folded)
            hit = np.zeros(nodes.shape[:2], np.float32)
            hit[(row / lattice.cell_px).astype(int), (column / lattice.cell_px).astype(int)] = 1
            wider = 1 + done // _PATIENCE  # a place that stays folded is part of a larger one
            around = cv2.dilate(hit, np.ones((4 * wider + 1, 4 * wider + 1), np.uint8))
            share = np.minimum(1, blur(around, 1.5 * wider))[..., None]
            nodes = nodes * (1 - share) + blur(nodes, 2.0 * wider) * share
        return nodes

    nodes = yield from gathered(map_ordered(mended, range(layer.count)), layer.count)
    return LayerMap(mapping.reference, mapping.lattice, np.stack(nodes))


def _pixel_areas(lattice: Lattice, nodes: Float32[np.ndarray, "row column 2"]) -> Float32[np.ndarray, "height width"]:
    """Signed area that each pixel has in the layer's picture; 0 or less is a fold-over."""
    displacement = lattice.dense(nodes, lattice.size)
    along_x = np.diff(displacement, axis=1, append=displacement[:, -1:])
    along_y = np.diff(displacement, axis=0, append=displacement[-1:])
    return (1 + along_x[..., 0]) * (1 + along_y[..., 1]) - along_x[..., 1] * along_y[..., 0]
