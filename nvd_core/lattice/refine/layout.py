"""Step 4, layout: reparametrise the reference plane of a background so that its scale matches the frames'.

Homographies to one frame magnify without bound what a pan sees far from that frame. Here a smooth warp of
the plane makes every part about as large and as upright as the frames show it: for each frame and pixel, a
step of one pixel shall be the same step in the plane, (1, 0) or (0, 1). This is linear least squares in the
nodes of a coarse lattice over the plane, with a thin-plate prior.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32
from scipy.sparse.linalg import spsolve

from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.register.equations import difference_rows, thin_plate
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.runtime.parallel import map_ordered
from nvd_core.spec.conventions import Size

_UNEVEN: Final = 1.3
"""Smallest ratio of scales in the plane (95th to 5th percentile) at which it is warped."""

_LARGEST: Final = 400
"""Largest plane that is warped, in areas of a frame: beyond it tracking failed, and memory has an end."""

_CELLS: Final = 24
"""Lattice cells per frame width."""

_STIFFNESS: Final = 1.0
_STEP_PX: Final = 8
_FINE_PX: Final = 4.0


class Steps(NamedTuple):
    """Pairs of pixels of all frames: both positions in the plane, and their offset in the frame, px."""

    start: Float32[np.ndarray, "step 2"]
    end: Float32[np.ndarray, "step 2"]
    way: Float32[np.ndarray, "step 2"]

    @property
    def scale(self) -> Float32[np.ndarray, " step"]:
        """Length in the plane per length in the frame."""
        return np.linalg.norm(self.end - self.start, axis=1) / np.linalg.norm(self.way, axis=1)


def lay_evenly(layer: LayerView, mapping: LayerMap) -> LayerMap:
    """Warp the reference plane to even scale, and the map with it; unchanged if scales vary little or too much."""
    steps = _steps(layer, mapping)
    small, large = np.percentile(steps.scale, (5, 95))
    if large < _UNEVEN * small:
        return mapping
    ends = np.concatenate([steps.start, steps.end])
    first, last = np.percentile(ends, (0.2, 99.8), axis=0)
    margin = 0.1 * (last - first) + 16  # positions far beyond are of frames whose tracking failed
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
    """Sample horizontal and vertical pairs of pixels, 16 px apart, on a grid over the layer in every frame."""

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
    """Solve for the plane's displacement, at the nodes, that gives each pair its offset in the frame.

    Pairs weigh by the inverse square of their scale, so that the frame that shows a place largest sets its density.
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
