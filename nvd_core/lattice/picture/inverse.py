"""Invert maps: from points of the reference plane to positions in a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from nvd_core.image.geometry import Box, Positions, pixel_grid, size_of
from nvd_core.image.sample import resample
from nvd_core.lattice.register.spline import Lattice
from nvd_core.spec.conventions import Size

_NEWTON_STEPS: Final = 4
_MAX_STEP_PX: Final = 24.0
_SOLVED_PX: Final = 0.5
_CELL_PX: Final = 4.0


@final
@dataclass(frozen=True)
class InverseMap:
    """Inverse of one frame's map, sampled on a lattice over the part of the reference plane that the frame shows.

    Attributes:
        lattice: over that part, px of the reference plane from ``origin_px``.
        origin_px: corner (x, y) of that part in the reference plane.
        positions: in the frame, px, at each node.
        solved: 1 where Newton's method converged, else 0.
    """

    lattice: Lattice
    origin_px: Float[np.ndarray, " 2"]
    positions: Float32[np.ndarray, "row column 2"]
    solved: Float32[np.ndarray, "row column 1"]

    @property
    def end_px(self) -> Float[np.ndarray, " 2"]:
        """Far corner (x, y) of the part in the reference plane."""
        return self.origin_px + self.lattice.size

    def at(
        self, x_px: Float[np.ndarray, " width"], y_px: Float[np.ndarray, " height"]
    ) -> tuple[Positions, Bool[np.ndarray, "height width"]]:
        """Interpolate frame positions on a grid of points of the reference plane, and whether they are valid."""
        x_px, y_px = x_px - self.origin_px[0], y_px - self.origin_px[1]
        inside_x = (x_px >= 0) & (x_px <= self.lattice.size.width - 1)
        inside_y = (y_px >= 0) & (y_px <= self.lattice.size.height - 1)
        found = self.lattice.at(np.dstack([self.positions, self.solved]), x_px, y_px)
        return found[..., :2], (found[..., 2] > 0.9) & inside_x & inside_y[:, None]


def invert(mapping: Positions, box: Box, limit_px: float) -> InverseMap:
    """Invert one frame's map by Newton's method, started at the nearest sample.

    Args:
        mapping: position in the reference plane of every pixel of the frame, px.
        box: part of the frame that shows the layer.
        limit_px: coordinates beyond this, positive or negative, are left out.
    """
    grown = box.pixels_within(size_of(mapping), margin=2, least=4)
    forward = np.ascontiguousarray(mapping[grown.slices])
    step = max(1, round(_CELL_PX))
    known = pixel_grid(grown.size)[::step, ::step].reshape(-1, 2)
    values = forward[::step, ::step].reshape(-1, 2)
    low = np.floor(np.maximum(values.min(axis=0), -limit_px)).astype(np.float64)
    high = np.ceil(np.minimum(values.max(axis=0), limit_px)).astype(np.float64)
    extent = Size(*(max(2, int(side)) for side in high - low + 1))
    # A frame that the reference plane shows enlarged needs no finer lattice than its own pixels.
    zoom = math.sqrt(extent.width * extent.height / (grown.size.width * grown.size.height))
    lattice = Lattice(extent, _CELL_PX * max(1.0, zoom))
    wanted = lattice.positions() + low.astype(np.float32)
    found, miss_px = _newton(forward, wanted, _nearest(known, (values - low) / lattice.cell_px, lattice))
    solved = (miss_px < _SOLVED_PX).astype(np.float32)[..., None]
    corner = np.array([grown.left, grown.top], np.float32)
    return InverseMap(lattice, low, found + corner, solved)


def _nearest(
    known: Float32[np.ndarray, "point 2"], nodes: Float[np.ndarray, "point 2"], lattice: Lattice
) -> Float32[np.ndarray, "row column 2"]:
    """Nearest-neighbour lookup at a lattice's nodes by a distance transform, to within a cell.

    Args:
        known: value of each point.
        nodes: position of each point in cells; some may lie outside of the lattice.
        lattice: whose nodes are filled.
    """
    column, row = np.rint(nodes).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < lattice.columns) & (row < lattice.rows)
    seeds = np.full((lattice.rows, lattice.columns), -1)
    seeds[row[inside], column[inside]] = np.flatnonzero(inside)
    empty = (seeds < 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = nearest.astype(int)
    of_label = np.zeros(labels.max() + 1, int)
    of_label[labels[empty == 0]] = seeds[empty == 0]
    return known[of_label[labels]]


def _newton(
    forward: Positions, wanted: Float32[np.ndarray, "row column 2"], guess: Float32[np.ndarray, "row column 2"]
) -> tuple[Float32[np.ndarray, "row column 2"], Float32[np.ndarray, "row column"]]:
    """Solve ``forward(at) = wanted`` by Newton's method; beyond its edge ``forward`` is extrapolated linearly.

    Returns:
        Positions, px, and the distance to the wanted value before the last step, px.
    """
    fields = [_with_slopes(np.ascontiguousarray(forward[..., axis])) for axis in (0, 1)]
    wanted_x, wanted_y = (np.ascontiguousarray(wanted[..., axis]) for axis in (0, 1))
    at_x, at_y = (guess[..., axis].astype(np.float32) for axis in (0, 1))
    miss_x = miss_y = np.zeros_like(at_x)
    for _ in range(_NEWTON_STEPS):  # axis by axis: NumPy takes many times as long over a last axis of two
        inside_x, inside_y = np.clip(at_x, 0, forward.shape[1] - 1), np.clip(at_y, 0, forward.shape[0] - 1)
        (x, xx, xy), (y, yx, yy) = (cv2.split(resample(field, inside_x, inside_y)) for field in fields)
        beyond_x, beyond_y = at_x - inside_x, at_y - inside_y
        miss_x = x + xx * beyond_x + xy * beyond_y - wanted_x
        miss_y = y + yx * beyond_x + yy * beyond_y - wanted_y
        area = xx * yy - xy * yx
        area = np.where(np.abs(area) < 0.02, np.copysign(np.float32(0.02), area), area)
        step_x, step_y = (yy * miss_x - xy * miss_y) / area, (xx * miss_y - yx * miss_x) / area
        share = np.minimum(1, _MAX_STEP_PX / (np.hypot(step_x, step_y) + 1e-6))
        at_x, at_y = at_x - step_x * share, at_y - step_y * share
    return np.stack([at_x, at_y], axis=-1), np.hypot(miss_x, miss_y)


def _with_slopes(values: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width 3"]:
    """A coordinate with its derivatives along x and y: OpenCV samples three channels without rounding positions."""
    along_y, along_x = np.gradient(values)
    return np.dstack([values, along_x, along_y])
