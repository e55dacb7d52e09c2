"""Step 5: no fold-overs. Where a map turns its surface inside out, it is smoothed until it does not."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.lattice.imaging import blur
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.spline import LayerMap, Lattice
from nvd_core.parallel import map_ordered

_LEAST_AREA: Final = 0.05
"""A cell of the frame may shrink to this part of its area in the layer's picture, but not further."""

_ROUNDS: Final = 40


def unfold(layer: LayerView, mapping: LayerMap) -> LayerMap:
    """The same map without fold-overs where the layer is visible."""

    def mended(t: int) -> Float32[np.ndarray, "row column 2"]:
        nodes = mapping.nodes[t]
        if layer.boxes[t] is None:
            return nodes
        seen = _cells_with(layer.inside(t), mapping.lattice)
        for _ in range(_ROUNDS):
            folded = (cell_areas(mapping.lattice, nodes) < _LEAST_AREA) & seen
            if not folded.any():
                break
            corners = np.zeros(nodes.shape[:2], np.float32)
            corners[:-1, :-1] = folded
            share = np.minimum(1, blur(cv2.dilate(corners, np.ones((5, 5), np.uint8)), 1.5))[..., None]
            nodes = nodes * (1 - share) + blur(nodes, 2.0) * share
        return nodes

    return LayerMap(mapping.reference, mapping.lattice, np.stack(list(map_ordered(mended, range(layer.count)))))


def cell_areas(
    lattice: Lattice, nodes: Float32[np.ndarray, "row column 2"]
) -> Float32[np.ndarray, "cellrow cellcolumn"]:
    """Smallest signed area that a lattice cell has in the layer's picture, over its area in the frame.

    Each cell is looked at from all four corners; 0 or less is a fold-over.
    """
    at = lattice.positions() + nodes
    right, down = np.diff(at, axis=1), np.diff(at, axis=0)

    def cross(a: Float32[np.ndarray, "h w 2"], b: Float32[np.ndarray, "h w 2"]) -> Float32[np.ndarray, "h w"]:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]

    corners = [cross(x, y) for x in (right[:-1], right[1:]) for y in (down[:, :-1], down[:, 1:])]
    return np.min(corners, axis=0) / lattice.cell_px**2


def _cells_with(inside: Bool[np.ndarray, "height width"], lattice: Lattice) -> Bool[np.ndarray, "cellrow cellcolumn"]:
    """Cells that hold a pixel of the layer, or touch one that does."""
    rows, columns = (np.arange(side) / lattice.cell_px for side in inside.shape)
    cells = np.zeros((lattice.rows - 1, lattice.columns - 1), np.uint8)
    row, column = np.nonzero(inside)
    cells[
        np.minimum(rows[row].astype(int), lattice.rows - 2), np.minimum(columns[column].astype(int), lattice.columns - 2)
    ] = 1
    return cv2.dilate(cells, np.ones((3, 3), np.uint8)) > 0
