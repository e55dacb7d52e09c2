"""The cheapest outline: a graph cut between what speaks for an object and what is worth an edge."""

from __future__ import annotations

from typing import Final

import cv2
import maxflow
import numpy as np
from jaxtyping import Bool, Float32, UInt8

_NEIGHBOURS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
_LEAST: Final = 0.05
"""What an edge costs where the picture has one, of what it costs where it has none."""


def cut(
    score: Float32[np.ndarray, "height width"], picture: UInt8[np.ndarray, "height width 3"], stiffness: float = 2.0
) -> Bool[np.ndarray, "height width"]:
    """Where the object is (Boykov and Jolly, ICCV 2001; contrast as in GrabCut, Rother et al., 2004).

    Args:
        score: log odds of the object in each pixel.
        picture: whose edges the outline shall follow.
        stiffness: cost of an outline, for a pixel's length where the picture is flat.
    """
    graph = maxflow.GraphFloat()
    nodes = graph.add_grid_nodes(score.shape)
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.7)
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
