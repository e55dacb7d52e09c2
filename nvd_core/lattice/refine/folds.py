"""Step 6, no folds: smooth a map wherever it turns over or a pixel's area is below 0.05 px², in up to 60 rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.image.filters import blur
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.progress import SILENT, Progress

_LEAST_AREA: Final = 0.05
"""Smallest Jacobian determinant: the area of a frame's pixel in the reference plane, px²."""

_ROUNDS: Final = 60
_PATIENCE: Final = 10
"""Rounds of smoothing after which its radius grows."""


def unfold(layer: LayerView, mapping: LayerMap, progress: Progress = SILENT) -> LayerMap:
    """Smooth fold-overs away in every frame, where the layer is visible; gives up after 60 rounds."""

    def mended(t: int) -> Float32[np.ndarray, "row column 2"]:
        lattice, nodes = mapping.lattice, mapping.nodes[t]
        inside = cv2.dilate(layer.inside(t).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for round_ in range(_ROUNDS):
            folded = (_pixel_areas(lattice, nodes) < _LEAST_AREA) & inside
            if not folded.any():
                break
            row, column = np.nonzero(folded)
            hit = np.zeros(nodes.shape[:2], np.float32)
            hit[(row / lattice.cell_px).astype(int), (column / lattice.cell_px).astype(int)] = 1
            wider = 1 + round_ // _PATIENCE  # a fold that stays is part of a larger one
            around = cv2.dilate(hit, np.ones((4 * wider + 1, 4 * wider + 1), np.uint8))
            share = np.minimum(1, blur(around, 1.5 * wider))[..., None]
            nodes = nodes * (1 - share) + blur(nodes, 2.0 * wider) * share
        return nodes

    return replace(mapping, nodes=np.stack(map_all(mended, range(layer.count), progress)))


def _pixel_areas(lattice: Lattice, nodes: Float32[np.ndarray, "row column 2"]) -> Float32[np.ndarray, "height width"]:
    """Jacobian determinant of the map: signed area of each pixel in the reference plane; 0 or less is a fold-over."""
    displacement = lattice.dense(nodes, lattice.size)
    along_x = np.diff(displacement, axis=1, append=displacement[:, -1:])
    along_y = np.diff(displacement, axis=0, append=displacement[-1:])
    return (1 + along_x[..., 0]) * (1 + along_y[..., 1]) - along_x[..., 1] * along_y[..., 0]
