"""A smooth displacement field held by a few nodes a frame.

The layer's point that pixel ``p`` of frame ``t`` shows lies at ``p + D_t(p)``, in pixels of the
reference frame. ``D_t`` is the cubic spline through values at the nodes of a regular lattice, so a
whole clip's map is a small array, is smooth by construction, and can be read at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

import numpy as np
from jaxtyping import Float, Float32

from nvd_core.conventions import Size, rescale_px
from nvd_core.resample import resample

Nodes = Float32[np.ndarray, "frame row column 2"]
"""Displacements (x, y) at the lattice's nodes, px."""


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

    @cached_property
    def columns(self) -> int:
        """Nodes along x."""
        return max(2, math.ceil((self.size.width - 1) / self.cell_px) + 1)

    @cached_property
    def rows(self) -> int:
        """Nodes along y."""
        return max(2, math.ceil((self.size.height - 1) / self.cell_px) + 1)

    def positions(self) -> Float32[np.ndarray, "row column 2"]:
        """Where the nodes lie, px; the last ones may lie outside the picture."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return (np.stack([x, y], axis=-1) * self.cell_px).astype(np.float32)

    def at(
        self,
        nodes: Float32[np.ndarray, "row column chan"],
        x_px: Float[np.ndarray, " width"],
        y_px: Float[np.ndarray, " height"],
    ) -> Float32[np.ndarray, "height width chan"]:
        """The field on a grid of places."""
        across = spline_basis(x_px / self.cell_px, self.columns)
        down = spline_basis(y_px / self.cell_px, self.rows)
        halfway = np.tensordot(down, nodes, axes=(1, 0))
        return np.ascontiguousarray(np.moveaxis(np.tensordot(halfway, across, axes=(1, 1)), 1, 2))

    def near(
        self, nodes: Float32[np.ndarray, "row column chan"], points_px: Float[np.ndarray, "point 2"]
    ) -> Float32[np.ndarray, "point chan"]:
        """The field at scattered points, bilinear between the nodes."""
        at = (points_px / self.cell_px).astype(np.float32)[None]
        return resample(nodes, np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1]))[0]

    def dense(
        self, nodes: Float32[np.ndarray, "row column chan"], size: Size
    ) -> Float32[np.ndarray, "height width chan"]:
        """The field at every pixel of a picture of any size that shows the same.

        Displacements stay in pixels of this lattice's picture.
        """
        x_px = rescale_px(np.arange(size.width, dtype=np.float64), size.width, self.size.width)
        y_px = rescale_px(np.arange(size.height, dtype=np.float64), size.height, self.size.height)
        return self.at(nodes, x_px, y_px)


def spline_basis(at: Float[np.ndarray, " sample"], count: int) -> Float32[np.ndarray, "sample node"]:
    """Weights of ``count`` unit-spaced nodes in the natural cubic spline through them, at given places."""
    cell = np.clip(np.floor(at).astype(int), 0, count - 2)
    u = (at - cell)[:, None]
    weights = np.hstack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]) / 6
    controls = np.zeros((len(at), count + 2))
    for tap in range(4):
        controls[np.arange(len(at)), cell + tap] += weights[:, tap]
    return (controls @ _controls_of_nodes(count)).astype(np.float32)


@lru_cache(maxsize=64)
def _controls_of_nodes(count: int) -> Float[np.ndarray, "control node"]:
    """B-spline control points from node values: interpolation at each node, no curvature at the ends."""
    system = np.zeros((count + 2, count + 2))
    for node in range(count):
        system[node, node : node + 3] = (1 / 6, 4 / 6, 1 / 6)
    system[count, :3] = system[count + 1, -3:] = (1, -2, 1)
    return np.linalg.inv(system)[:, :count]


@final
@dataclass(frozen=True)
class LayerMap:
    """A layer's map of the whole clip.

    Attributes:
        reference: the frame whose pixels are the layer's coordinates.
        lattice: over the working picture.
        nodes: displacements to the reference frame, working px.
    """

    reference: int
    lattice: Lattice
    nodes: Nodes

    def positions(self, t: int, size: Size | None = None) -> Float32[np.ndarray, "height width 2"]:
        """Where each pixel of a frame of any size lies in the reference frame, working px."""
        size = size or self.lattice.size
        x_px = rescale_px(np.arange(size.width, dtype=np.float32), size.width, self.lattice.size.width)
        y_px = rescale_px(np.arange(size.height, dtype=np.float32), size.height, self.lattice.size.height)
        positions = self.lattice.dense(self.nodes[t], size)
        positions[..., 0] += x_px
        positions[..., 1] += y_px[:, None]
        return positions

    def every(self, step: int) -> LayerMap:
        """Only every ``step``-th frame."""
        return LayerMap(self.reference, self.lattice, self.nodes[::step])

    def on(self, lattice: Lattice) -> LayerMap:
        """The same map held by another lattice over the same picture."""
        places = lattice.positions()
        nodes = [self.lattice.at(frame, places[0, :, 0], places[:, 0, 1]) for frame in self.nodes]
        return LayerMap(self.reference, lattice, np.stack(nodes))
