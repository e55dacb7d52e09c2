"""Step 4: how the reference plane is laid out, for surroundings that a moving camera sees at many scales.

Through homographies to one frame, what a pan sees far from that frame is blown up without bound. Here
the plane is bent, smoothly, until every part of it lies about as large and as upright as the frames show
it: for each frame and pixel, a step of one pixel should be a step of one unit in the plane. That is
linear least squares in the nodes of a coarse lattice over the plane.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32
from scipy.sparse.linalg import spsolve

from nvd_core.conventions import Size
from nvd_core.lattice.equations import difference_rows, thin_plate
from nvd_core.lattice.imaging import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.parallel import map_ordered

_UNEVEN: Final = 1.3
"""The plane is laid out anew where the scale of the frames in it varies by this factor (5th to 95th percentile)."""

_LARGEST: Final = 400
"""A plane of more frames than this is not laid out: the motion was not followed, and memory has an end."""

_CELLS: Final = 24
"""Lattice cells a frame's width."""

_STIFFNESS: Final = 1.0
_STEP_PX: Final = 8
_FINE_PX: Final = 4.0


class Steps(NamedTuple):
    """Where pairs of pixels of all frames lie in the plane, and the way between them in their frame, px."""

    start: Float32[np.ndarray, "step 2"]
    end: Float32[np.ndarray, "step 2"]
    way: Float32[np.ndarray, "step 2"]

    @property
    def scale(self) -> Float32[np.ndarray, " step"]:
        """Plane units a frame pixel."""
        return np.linalg.norm(self.end - self.start, axis=1) / np.linalg.norm(self.way, axis=1)


def lay_evenly(layer: LayerView, mapping: LayerMap) -> LayerMap:
    """The same map on a plane that shows everything about as the frames do; unchanged if it does already."""
    steps = _steps(layer, mapping)
    small, large = np.percentile(steps.scale, (5, 95))
    if large < _UNEVEN * small:
        return mapping
    ends = np.concatenate([steps.start, steps.end])
    first, last = np.percentile(ends, (0.2, 99.8), axis=0)
    margin = 0.1 * (last - first) + 16  # what lies far beyond it is a frame that was not followed
    low = np.floor(np.maximum(ends.min(axis=0) - 16, first - margin)).astype(np.float32)
    high = np.ceil(np.minimum(ends.max(axis=0) + 16, last + margin))
    extent = Size(*(int(side) for side in high - low))
    if extent.width * extent.height > _LARGEST * layer.size.width * layer.size.height:
        return mapping
    inside = ((np.minimum(steps.start, steps.end) > low) & (np.maximum(steps.start, steps.end) < high)).all(axis=1)
    steps = Steps(*(part[inside] for part in steps))
    lattice = Lattice(extent, layer.size.width / _CELLS)
    bent = lattice.positions() + low + _bend(lattice, low, steps)
    fine = lattice.at(bent, np.arange(0, extent.width, _FINE_PX), np.arange(0, extent.height, _FINE_PX))
    places = mapping.lattice.positions()

    def laid(nodes: Float32[np.ndarray, "row column 2"]) -> Float32[np.ndarray, "row column 2"]:
        return warp(fine, (places + nodes - low) / np.float32(_FINE_PX)) - places

    return LayerMap(mapping.reference, mapping.lattice, np.stack([laid(nodes) for nodes in mapping.nodes]))


def _steps(layer: LayerView, mapping: LayerMap) -> Steps:
    def of_frame(t: int) -> Steps:
        inside, positions = layer.inside(t), mapping.positions(t)
        row, column = np.nonzero(inside[_STEP_PX:-_STEP_PX:16, _STEP_PX:-_STEP_PX:16])
        row, column = row * 16 + _STEP_PX, column * 16 + _STEP_PX
        pairs = [
            Steps(
                positions[row - dy, column - dx],
                positions[row + dy, column + dx],
                np.broadcast_to(np.array([2 * dx, 2 * dy], np.float32), (len(row), 2)),
            )
            for dx, dy in ((_STEP_PX, 0), (0, _STEP_PX))
        ]
        return Steps(*(np.concatenate(parts) for parts in zip(*pairs, strict=True)))

    return Steps(*(np.concatenate(parts) for parts in zip(*map_ordered(of_frame, layer.visible), strict=True)))


def _bend(lattice: Lattice, low: Float32[np.ndarray, " 2"], steps: Steps) -> Float32[np.ndarray, "row column 2"]:
    """Displacement of the plane's nodes that makes the steps what they are in the frames.

    Frames count by the square of their resolution, so that what one shows best sets the density.
    """
    index = np.arange(lattice.rows * lattice.columns).reshape(lattice.rows, lattice.columns)
    field = np.zeros(len(steps.way), np.int64)
    design = difference_rows(lattice, index.size, (steps.end - low, field), (steps.start - low, field))
    weight = 1 / np.maximum(steps.scale, 0.25).astype(np.float64) ** 2
    wanted = (steps.way - (steps.end - steps.start)).astype(np.float64)
    stiffness = _STIFFNESS * len(wanted) / index.size
    normal = design.T @ (sp.diags_array(weight) @ design) + stiffness * thin_plate(index)
    normal = (normal + sp.diags_array(np.full(index.size, 1e-6))).tocsc()
    target = design.T @ (weight[:, None] * wanted)
    bend = np.stack([np.asarray(spsolve(normal, target[:, axis])) for axis in (0, 1)], axis=-1)
    return bend.reshape(lattice.rows, lattice.columns, 2).astype(np.float32)
