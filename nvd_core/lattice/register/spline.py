"""A layer's map as displacement fields: natural cubic splines through the nodes of a lattice.

Pixel ``p`` of frame ``t`` shows the point ``p + D_t(p)`` of the reference plane, px of the reference
frame. ``D_t`` is the cubic spline through values at the nodes of a regular lattice, so a whole clip's
map is a small array, is smooth by construction, and can be sampled at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32

from nvd_core.image.geometry import pixel_axes, pixel_grid
from nvd_core.image.sample import at_points
from nvd_core.spec.conventions import Size

Nodes = Float32[np.ndarray, "frame row column 2"]
"""Displacements (x, y) at the lattice's nodes, px."""

_TALLEST: Final = 4
"""Most cells along y per cell along x; in taller pictures cells grow, or they would be too many and below a pixel."""

_NEGLIGIBLE: Final = 1e-9
"""Weights below this, of 1, are dropped: float32's rounding loses them."""


@final
@dataclass(frozen=True)
class Lattice:
    """Nodes on a regular grid over a picture.

    Attributes:
        size: of the picture, px.
        cell_px: distance of two nodes.
    """

    size: Size
    cell_px: float

    @classmethod
    def over(cls, size: Size, cells: int) -> Lattice:
        """Cover a picture with ``cells`` square cells across, and at most four times as many down."""
        return cls(size, max((size.width - 1) / cells, (size.height - 1) / (_TALLEST * cells)))

    @cached_property
    def columns(self) -> int:
        """Nodes along x."""
        return max(2, math.ceil((self.size.width - 1) / self.cell_px) + 1)

    @cached_property
    def rows(self) -> int:
        """Nodes along y."""
        return max(2, math.ceil((self.size.height - 1) / self.cell_px) + 1)

    def kind_of(self, frames: int) -> Any:  # noqa: ANN401 (see checkpoints.Kind)
        """Checkpoint kind of the nodes of ``frames`` frames."""
        return Float32[np.ndarray, f"{frames} {self.rows} {self.columns} 2"]

    def positions(self) -> Float32[np.ndarray, "row column 2"]:
        """Positions of the nodes, px; the last ones may lie outside the picture."""
        return (pixel_grid(Size(self.columns, self.rows)) * np.float64(self.cell_px)).astype(np.float32)

    def at(
        self,
        nodes: Float32[np.ndarray, "row column chan"],
        x_px: Float[np.ndarray, " width"],
        y_px: Float[np.ndarray, " height"],
    ) -> Float32[np.ndarray, "height width chan"]:
        """Interpolate the field by the cubic spline on the grid of ``x_px`` and ``y_px``."""
        columns, rows, width, height = self.columns, self.rows, len(x_px), len(y_px)
        controls = _controls_of_nodes(rows) @ nodes.reshape(rows, -1)
        # Along x first, where there are few rows: the one transposition is there, not of the finished field.
        by_column = controls.reshape(rows + 2, columns, -1).swapaxes(0, 1).reshape(columns, -1)
        across = _taps(x_px / self.cell_px, columns) @ (_controls_of_nodes(columns) @ by_column)
        by_row = across.reshape(width, rows + 2, -1).swapaxes(0, 1).reshape(rows + 2, -1)
        return (_taps(y_px / self.cell_px, rows) @ by_row).reshape(height, width, -1)

    def near(
        self, nodes: Float32[np.ndarray, "row column chan"], points_px: Float[np.ndarray, "point 2"]
    ) -> Float32[np.ndarray, "point chan"]:
        """Interpolate the field bilinearly at scattered points."""
        return at_points(nodes, points_px / self.cell_px)

    def dense(
        self, nodes: Float32[np.ndarray, "row column chan"], size: Size
    ) -> Float32[np.ndarray, "height width chan"]:
        """Interpolate the field at every pixel of the same picture at any size.

        Displacements stay in px of this lattice's picture.
        """
        return self.at(nodes, *pixel_axes(size, self.size))


def spline_basis(at: Float[np.ndarray, " sample"], count: int) -> Float32[np.ndarray, "sample node"]:
    """Weights of ``count`` unit-spaced nodes in the natural cubic spline through them, at positions ``at``."""
    return _taps(at, count) @ _controls_of_nodes(count).toarray()


def _taps(at: Float[np.ndarray, " sample"], count: int) -> sp.csr_array:
    """Weights of the four B-spline control points around each position, among ``count + 2``, the first at -1."""
    cell = np.clip(np.floor(at).astype(np.int32), 0, count - 2)[:, None]
    u = at[:, None] - cell
    weights = np.hstack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]) / 6
    columns, starts = cell + np.arange(4, dtype=np.int32), np.arange(0, 4 * len(at) + 1, 4, dtype=np.int32)
    return sp.csr_array((weights.ravel().astype(np.float32), columns.ravel(), starts), shape=(len(at), count + 2))


@lru_cache(maxsize=64)
def _controls_of_nodes(count: int) -> sp.csr_array:
    """Matrix from node values to B-spline control points: interpolation at each node, no curvature at the ends.

    A node's weight falls by a factor of 3.7 from one control point to the next; negligible ones are dropped.
    """
    system = np.zeros((count + 2, count + 2))
    for node in range(count):
        system[node, node : node + 3] = (1 / 6, 4 / 6, 1 / 6)
    system[count, :3] = system[count + 1, -3:] = (1, -2, 1)
    inverse = np.linalg.inv(system)[:, :count]
    return sp.csr_array(np.where(np.abs(inverse) > _NEGLIGIBLE, inverse, 0).astype(np.float32))


@final
@dataclass(frozen=True)
class LayerMap:
    """A layer's map of the whole clip.

    Attributes:
        reference: frame whose pixels are the coordinates of the reference plane.
        lattice: over the frame at working size.
        nodes: displacements to the reference plane, working px.
    """

    reference: int
    lattice: Lattice
    nodes: Nodes

    def positions(self, t: int, size: Size | None = None) -> Float32[np.ndarray, "height width 2"]:
        """Position in the reference plane, working px, of each pixel of a frame of any size."""
        size = size or self.lattice.size
        x_px, y_px = pixel_axes(size, self.lattice.size, np.float32)
        positions = self.lattice.dense(self.nodes[t], size)
        positions[..., 0] += x_px
        positions[..., 1] += y_px[:, None]
        return positions

    def every(self, step: int) -> LayerMap:
        """Keep every ``step``-th frame."""
        return LayerMap(self.reference, self.lattice, self.nodes[::step])

    def on(self, lattice: Lattice) -> LayerMap:
        """Resample the map to another lattice over the same picture."""
        places = lattice.positions()
        nodes = [self.lattice.at(frame, places[0, :, 0], places[:, 0, 1]) for frame in self.nodes]
        return LayerMap(self.reference, lattice, np.stack(nodes))
