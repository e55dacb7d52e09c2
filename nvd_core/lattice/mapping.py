"""Step 3: the whole clip's map of a layer at once, by robust linear least squares on the matches.

A match says that two pixels show the same point, ``p + D_a(p) = q + D_b(q)``, which is linear in the
lattice's nodes. Thin-plate stiffness, measured against the starting homographies, fills what no
match speaks of; a weak temporal term steadies it; the reference frame is held at zero.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from nvd_core.flow.compose import Points
from nvd_core.lattice.equations import conjugate_gradients, difference_rows, squared, thin_plate
from nvd_core.lattice.imaging import transform
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.matches import Matches
from nvd_core.lattice.spline import Lattice, LayerMap, Nodes
from nvd_core.lattice.start import Motion
from nvd_core.steps import spread


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

BELIEVING: Final = Stiffness(cells=96, spatial=0.01, tolerance_px=0.2)
"""The same where flow is given: without the noise of flow that is found, folds may be finer."""

_ROUNDS: Final = 5
"""Of reweighting the matches by how far off they are."""

_TEMPORAL: Final = 0.04
_ANCHOR: Final = 100.0


def solve_mapping(
    layer: LayerView, begin: LayerMap, matches: Sequence[Matches], stiffness: Stiffness, held: Sequence[int]
) -> Generator[float, None, LayerMap]:
    """The map that agrees best with the matches.

    Args:
        layer: the layer, at working size.
        begin: where to begin, and what stiffness is measured against; on the lattice of that stiffness.
        matches: of all pairs of frames.
        stiffness: how far the layer may deform.
        held: frames that stay where they are.

    Yields:
        The part that is done, 0 to 1.
    """
    lattice, initial = begin.lattice, _flatten(begin.nodes)
    if not matches:
        return begin
    design, offsets = _equations(lattice, layer.count, matches)
    weight = _balanced(lattice, layer, matches)
    prior = _prior(lattice, layer.count, held, stiffness.spatial)
    from_prior = prior @ initial
    nodes = initial.copy()
    for done in range(_ROUNDS):
        yield done / _ROUNDS
        miss = np.linalg.norm(design @ nodes - offsets, axis=1) / stiffness.tolerance_px
        robust = weight / np.maximum(1, miss) / np.maximum(1, miss / 4)
        weighted = sp.diags_array(robust) @ design
        normal = (design.T @ weighted + prior).tocsr()
        steps = conjugate_gradients(normal, weighted.T @ offsets + from_prior, nodes)
        nodes = yield from spread(steps, done / _ROUNDS, 1 / _ROUNDS)
    return LayerMap(begin.reference, lattice, _unflatten(nodes, lattice, layer.count))


def bending(layer: LayerView) -> Stiffness:
    """What a layer is solved with that bends."""
    return FLEXIBLE if layer.flow is None else BELIEVING


def lattice_of(layer: LayerView, stiffness: Stiffness) -> Lattice:
    """The nodes that a map of that stiffness is solved with."""
    return Lattice(layer.size, (layer.size.width - 1) / stiffness.cells)


def starting_map(lattice: Lattice, layer: LayerView, reference: int, motion: Motion) -> LayerMap:
    """The map of homographies to the reference frame.

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
    return LayerMap(reference, lattice, nodes)


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
    """One row a match: ``D_a(p) - D_b(q) = q - p``."""
    field = lattice.rows * lattice.columns

    def side(frames: list[int], points: list[Float32[np.ndarray, "_ 2"]]) -> tuple[Points, Int[np.ndarray, " match"]]:
        lengths = [len(one) for one in points]
        return np.concatenate(points), np.repeat(np.array(frames, dtype=np.int64) * field, lengths)

    here = side([match.frame_a for match in matches], [match.points_a for match in matches])
    there = side([match.frame_b for match in matches], [match.points_b for match in matches])
    return difference_rows(lattice, count * field, here, there), (there[0] - here[0]).astype(np.float64)


def _balanced(lattice: Lattice, layer: LayerView, matches: Sequence[Matches]) -> float:
    """Weight of a match that makes stiffness mean the same for any size and density of matches."""
    shown = sum(float(layer.areas_px[match.frame_a]) for match in matches)
    spacing_px2 = shown / max(1, sum(len(match.points_a) for match in matches))
    return 16 * spacing_px2 / lattice.cell_px**2


def _prior(lattice: Lattice, count: int, held: Sequence[int], spatial: float) -> sp.csr_array:
    """Normal matrix of the terms that speak of the displacement's difference from the start."""
    index = np.arange(count * lattice.rows * lattice.columns).reshape(count, lattice.rows, lattice.columns)
    steady = squared(index.size, (index[:-2], 1), (index[1:-1], -2), (index[2:], 1))
    anchor = np.full(index.shape, 1e-5)
    anchor[list(held)] = _ANCHOR
    return (spatial * thin_plate(index) + _TEMPORAL * steady + sp.diags_array(anchor.ravel())).tocsr()
