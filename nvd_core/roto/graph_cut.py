"""Segmentation by graph cut: the outline that best fits per-pixel odds and the picture's edges."""

from __future__ import annotations

from typing import Final

import maxflow
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.image.filters import blur

_NEIGHBOURS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Half of the eight neighbours, (down, across): links are symmetric."""
_LEAST: Final = 0.05
"""Cost of an outline along a strong edge of the picture, relative to its cost where the picture is flat."""


def cut(
    score: Float32[np.ndarray, "height width"], picture: UInt8[np.ndarray, "height width 3"], stiffness: float = 2.0
) -> Bool[np.ndarray, "height width"]:
    """Segment an object by graph cut (Boykov and Jolly, ICCV 2001; contrast as in GrabCut, Rother et al., 2004).

    Args:
        score: log odds of the object, of each pixel.
        picture: its edges attract the outline.
        stiffness: cost of each px of the outline where the picture is flat.
    """
    graph = maxflow.GraphFloat()
    nodes = graph.add_grid_nodes(score.shape)
    smooth = blur(picture.astype(np.float32), 0.7)
    steps = [(smooth - np.roll(smooth, (-down, -across), axis=(0, 1))) ** 2 for down, across in _NEIGHBOURS]
    contrasts = [step.sum(axis=-1) for step in steps]
    typical = 2 * float(contrasts[0][:, :-1].mean()) + 1e-6
    for (down, across), contrast in zip(_NEIGHBOURS, contrasts, strict=True):
        weights = stiffness * ((1 - _LEAST) * np.exp(-contrast / typical) + _LEAST) / np.hypot(down, across)
        structure = np.zeros((3, 3))
        structure[1 + down, 1 + across] = 1
        graph.add_grid_edges(nodes, weights=weights, structure=structure, symmetric=True)
    graph.add_grid_tedges(nodes, np.maximum(score, 0), np.maximum(-score, 0))
    graph.maxflow()
    return ~graph.get_grid_segments(nodes)
