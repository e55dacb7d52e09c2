"""Maps turned around: which pixel of a frame shows a given point of the layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy.spatial import KDTree

from nvd_core.conventions import Size
from nvd_core.lattice.imaging import Positions, pixel_grid, warp
from nvd_core.lattice.layer import Box
from nvd_core.lattice.spline import Lattice

_NEWTON_STEPS: Final = 4
_MAX_STEP_PX: Final = 24.0
_SOLVED_PX: Final = 0.5
_CELL_PX: Final = 4.0


@final
@dataclass(frozen=True)
class InverseMap:
    """Frame positions on a lattice over the part of the reference plane that a frame shows.

    Attributes:
        lattice: over that part, in reference px from ``origin_px``.
        origin_px: where it begins in the reference plane.
        positions: in the frame, px, at each node.
        solved: 1 where the map could be turned around, else 0.
    """

    lattice: Lattice
    origin_px: Float[np.ndarray, " 2"]
    positions: Float32[np.ndarray, "row column 2"]
    solved: Float32[np.ndarray, "row column 1"]

    @property
    def end_px(self) -> Float[np.ndarray, " 2"]:
        """Where the part ends in the reference plane."""
        return self.origin_px + self.lattice.size

    def at(
        self, x_px: Float[np.ndarray, " width"], y_px: Float[np.ndarray, " height"]
    ) -> tuple[Positions, Bool[np.ndarray, "height width"]]:
        """Frame positions of a grid of points of the reference plane, and whether they are known."""
        x_px, y_px = x_px - self.origin_px[0], y_px - self.origin_px[1]
        inside_x = (x_px >= 0) & (x_px <= self.lattice.size.width - 1)
        inside_y = (y_px >= 0) & (y_px <= self.lattice.size.height - 1)
        known = self.lattice.at(self.solved, x_px, y_px)[..., 0] > 0.9
        return self.lattice.at(self.positions, x_px, y_px), known & inside_x & inside_y[:, None]


def invert(mapping: Positions, box: Box, limit_px: float) -> InverseMap:
    """Turn one frame's map around by Newton's method, started at the nearest known point.

    Args:
        mapping: reference position of every pixel of the frame, px.
        box: the part of the frame that counts.
        limit_px: points further than this from the reference frame's corner are left out.
    """
    grown = box.grown(2, Size(mapping.shape[1], mapping.shape[0]), least=4)
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
    _, nearest = KDTree(values).query(wanted.reshape(-1, 2))
    guess = known[nearest].reshape(wanted.shape)
    found, miss_px = _newton(forward, wanted, guess)
    solved = (miss_px < _SOLVED_PX).astype(np.float32)[..., None]
    corner = np.array([grown.left, grown.top], np.float32)
    return InverseMap(lattice, low, found + corner, solved)


def _newton(
    forward: Positions, wanted: Float32[np.ndarray, "row column 2"], guess: Float32[np.ndarray, "row column 2"]
) -> tuple[Float32[np.ndarray, "row column 2"], Float32[np.ndarray, "row column"]]:
    """Positions at which ``forward`` has the wanted values; beyond its edge it goes on linearly."""
    slope_x, slope_y = (np.gradient(forward, axis=axis).astype(np.float32) for axis in (1, 0))
    last = np.array([forward.shape[1] - 1, forward.shape[0] - 1], np.float32)
    at, miss = guess.astype(np.float32), np.zeros_like(guess)
    for _ in range(_NEWTON_STEPS):
        inside = np.clip(at, 0, last)
        along_x, along_y = warp(slope_x, inside), warp(slope_y, inside)
        beyond = at - inside
        miss = warp(forward, inside) + along_x * beyond[..., :1] + along_y * beyond[..., 1:] - wanted
        area = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
        area = np.where(np.abs(area) < 0.02, np.copysign(np.float32(0.02), area), area)
        step = np.stack(
            [
                along_y[..., 1] * miss[..., 0] - along_y[..., 0] * miss[..., 1],
                along_x[..., 0] * miss[..., 1] - along_x[..., 1] * miss[..., 0],
            ],
            axis=-1,
        ) / area[..., None]  # fmt: skip
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        at = at - step * np.minimum(1, _MAX_STEP_PX / (length + 1e-6))
    return at, np.linalg.norm(miss, axis=-1)
