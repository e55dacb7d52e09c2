"""Step 3: the whole clip's map of a layer at once, by robust linear least squares on the matches.

A match says that two pixels show the same point, ``p + D_a(p) = q + D_b(q)``, which is linear in the
lattice's nodes. Thin-plate stiffness, measured against the starting homographies, fills what no
match speaks of; a weak temporal term steadies it; the reference frame is held at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from nvd_core.lattice.imaging import transform
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.matches import Matches, Points
from nvd_core.lattice.spline import LayerMap, Lattice, Nodes
from nvd_core.lattice.start import Motion


@final
@dataclass(frozen=True)
class Stiffness:
    """How far a layer may deform.

    Attributes:
        cells: lattice cells across the frame.
        spatial: weight of the thin-plate term, against 16 matches a cell and pair of frames.
        tolerance_px: a match further off than this counts less and less.
    """

    cells: int
    spatial: float
    tolerance_px: float


RIGID: Final = Stiffness(cells=32, spatial=10.0, tolerance_px=0.15)
"""For what moves as one piece, or as the camera does: does not follow shadows and reflections."""

FLEXIBLE: Final = Stiffness(cells=64, spatial=0.04, tolerance_px=0.2)
"""For what bends: cloth, animals, faces."""

_ROUNDS: Final = 5
"""Of reweighting the matches by how far off they are."""

_TEMPORAL: Final = 0.04
_ANCHOR: Final = 100.0
_CG_STEPS: Final = 150
_CG_TOLERANCE: Final = 1e-4


def solve_mapping(
    layer: LayerView, reference: int, motion: Motion, matches: Sequence[Matches], stiffness: Stiffness
) -> LayerMap:
    """The map that agrees best with the matches.

    Args:
        layer: the layer, at working size.
        reference: the frame whose pixels are the layer's coordinates.
        motion: where to begin, and what stiffness is measured against.
        matches: of all pairs of frames.
        stiffness: how far the layer may deform.
    """
    lattice = Lattice(layer.size, (layer.size.width - 1) / stiffness.cells)
    initial = _flatten(initial_nodes(lattice, layer, motion))
    if not matches:
        return LayerMap(reference, lattice, _unflatten(initial, lattice, layer.count))
    design, offsets = _equations(lattice, layer.count, matches)
    weight = _balanced(lattice, layer, matches)
    prior = _prior(lattice, layer.count, reference, stiffness.spatial)
    from_prior = prior @ initial
    nodes = initial.copy()
    for _ in range(_ROUNDS):
        miss = np.linalg.norm(design @ nodes - offsets, axis=1) / stiffness.tolerance_px
        robust = weight / np.maximum(1, miss) / np.maximum(1, miss / 4)
        weighted = sp.diags_array(robust) @ design
        nodes = _conjugate_gradients((design.T @ weighted + prior).tocsr(), weighted.T @ offsets + from_prior, nodes)
    return LayerMap(reference, lattice, _unflatten(nodes, lattice, layer.count))


def initial_nodes(lattice: Lattice, layer: LayerView, motion: Motion) -> Nodes:
    """Displacements of the starting homographies.

    Away from the layer a homography may run to infinity, so there its affine part at the layer goes on.
    """
    positions = lattice.positions().astype(np.float64)
    nodes = np.empty((layer.count, *positions.shape), np.float32)
    for t, matrix in enumerate(motion):
        box = layer.boxes[t]
        moved = transform(matrix, positions)
        if box is not None:
            near = _near(positions, box, lattice.cell_px)
            design = np.concatenate([positions, np.ones((*positions.shape[:2], 1))], axis=-1)
            affine = np.linalg.lstsq(design[near], moved[near], rcond=None)[0]
            moved = np.where(near[..., None], moved, design @ affine)
        nodes[t] = moved - positions
    return nodes


def _near(positions: Float[np.ndarray, "row column 2"], box: tuple[int, int, int, int], margin: float) -> np.ndarray:
    x, y = positions[..., 0], positions[..., 1]
    left, top, right, bottom = box
    return (x >= left - 2 * margin) & (x <= right + 2 * margin) & (y >= top - 2 * margin) & (y <= bottom + 2 * margin)


def _flatten(nodes: Nodes) -> Float[np.ndarray, "unknown 2"]:
    return nodes.reshape(-1, 2).astype(np.float64)


def _unflatten(unknowns: Float[np.ndarray, "unknown 2"], lattice: Lattice, count: int) -> Nodes:
    return unknowns.reshape(count, lattice.rows, lattice.columns, 2).astype(np.float32)


def _equations(
    lattice: Lattice, count: int, matches: Sequence[Matches]
) -> tuple[sp.csr_array, Float[np.ndarray, "match 2"]]:
    """One row a match: ``D_a(p) - D_b(q) = q - p``, with bilinear weights of the nodes around."""
    here = [_bilinear(lattice, match.frame_a, match.points_a) for match in matches]
    there = [_bilinear(lattice, match.frame_b, match.points_b) for match in matches]
    columns = np.concatenate([np.hstack([a, b]) for (a, _), (b, _) in zip(here, there, strict=True)])
    values = np.concatenate([np.hstack([a, -b]) for (_, a), (_, b) in zip(here, there, strict=True)])
    offsets = np.concatenate([match.points_b - match.points_a for match in matches]).astype(np.float64)
    starts = np.arange(0, columns.size + 1, 8)
    unknowns = count * lattice.rows * lattice.columns
    return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(offsets), unknowns)), offsets


def _bilinear(
    lattice: Lattice, t: int, points: Points
) -> tuple[Int[np.ndarray, "match 4"], Float[np.ndarray, "match 4"]]:
    last = (lattice.columns - 1 - 1e-4, lattice.rows - 1 - 1e-4)
    at = np.clip(points.astype(np.float64) / lattice.cell_px, 0, last)
    column, row = at.astype(int).T
    across, down = (at - np.floor(at)).T
    corner = (t * lattice.rows + row) * lattice.columns + column
    nodes = np.stack([corner, corner + 1, corner + lattice.columns, corner + lattice.columns + 1], axis=1)
    weights = [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down]
    return nodes, np.stack(weights, axis=1)


def _balanced(lattice: Lattice, layer: LayerView, matches: Sequence[Matches]) -> float:
    """Weight of a match that makes stiffness mean the same for any size and density of matches."""
    shown = sum(float(layer.areas_px[match.frame_a]) for match in matches)
    spacing_px2 = shown / max(1, sum(len(match.points_a) for match in matches))
    return 16 * spacing_px2 / lattice.cell_px**2


def _prior(lattice: Lattice, count: int, reference: int, spatial: float) -> sp.csr_array:
    """Normal matrix of the terms that speak of the displacement's difference from the start."""
    index = np.arange(count * lattice.rows * lattice.columns).reshape(count, lattice.rows, lattice.columns)

    def normal(*terms: tuple[Int[np.ndarray, "*node"], float]) -> sp.csr_array:
        rows = np.tile(np.arange(terms[0][0].size), len(terms))
        columns = np.concatenate([nodes.ravel() for nodes, _ in terms])
        values = np.concatenate([np.full(nodes.size, factor) for nodes, factor in terms])
        matrix = sp.csr_array((values, (rows, columns)), shape=(terms[0][0].size, index.size))
        return matrix.T @ matrix

    cross = 2**0.5
    thin_plate = (
        normal((index[:, :, :-2], 1), (index[:, :, 1:-1], -2), (index[:, :, 2:], 1))
        + normal((index[:, :-2], 1), (index[:, 1:-1], -2), (index[:, 2:], 1))
        + normal((index[:, 1:, 1:], cross), (index[:, :-1, 1:], -cross), (index[:, 1:, :-1], -cross), (index[:, :-1, :-1], cross))
    )  # fmt: skip
    steady = normal((index[:-2], 1), (index[1:-1], -2), (index[2:], 1))
    anchor = np.full(index.shape, 1e-5)
    anchor[reference] = _ANCHOR
    return (spatial * thin_plate + _TEMPORAL * steady + sp.diags_array(anchor.ravel())).tocsr()


def _conjugate_gradients(
    matrix: sp.csr_array, target: Float[np.ndarray, "unknown 2"], guess: Float[np.ndarray, "unknown 2"]
) -> Float[np.ndarray, "unknown 2"]:
    """Solve for x and y side by side; scipy's solver takes one right-hand side and is half as fast."""
    solution = guess.copy()
    scale = 1 / matrix.diagonal()[:, None]
    rest = target - matrix @ solution
    direction = scale * rest
    energy = (rest * direction).sum(axis=0)
    enough = _CG_TOLERANCE * np.linalg.norm(target)
    for _ in range(_CG_STEPS):
        moved = matrix @ direction
        length = energy / ((direction * moved).sum(axis=0) + 1e-30)
        solution += length * direction
        rest -= length * moved
        if np.linalg.norm(rest) < enough:
            break
        conditioned = scale * rest
        gained = (rest * conditioned).sum(axis=0)
        direction = conditioned + (gained / (energy + 1e-30)) * direction
        energy = gained
    return solution
