"""Step 3, map: solve a layer's map in all frames at once, by robust linear least squares on the matches.

A match of pixel ``p`` in frame ``a`` with ``q`` in ``b`` says ``p + D_a(p) = q + D_b(q)``, linear in the
lattice's nodes. Thin-plate energy of the difference from the starting map fills in where no match lies;
a weak second difference in time smooths it; held frames (the reference frame) are anchored to their start. Robust
by iteratively reweighted least squares, each round by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from nvd_core.flow.compose import Points
from nvd_core.image.geometry import Box, transform
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.register.equations import conjugate_gradients, difference_rows, squared, thin_plate
from nvd_core.lattice.register.matches import Matches
from nvd_core.lattice.register.spline import Lattice, LayerMap, Nodes
from nvd_core.lattice.register.start import ClipMotion
from nvd_core.runtime.progress import SILENT, Progress


@final
@dataclass(frozen=True)
class Stiffness:
    """How far a layer may deform.

    Attributes:
        cells: lattice cells across the frame.
        spatial: weight of the thin-plate term, relative to 16 matches per cell and pair of frames.
        tolerance_px: residual of a match above which its weight falls, working px.
    """

    cells: int
    spatial: float
    tolerance_px: float


RIGID: Final = Stiffness(cells=32, spatial=10.0, tolerance_px=0.15)
"""For backgrounds and rigid objects: does not follow shadows and reflections."""

FLEXIBLE: Final = Stiffness(cells=64, spatial=0.04, tolerance_px=0.2)
"""For deforming objects: cloth, animals, faces."""

BELIEVING: Final = Stiffness(cells=96, spatial=0.01, tolerance_px=0.2)
"""For deforming objects with the user's flow: without the noise of DIS flow, creases may be finer."""

_ROUNDS: Final = 5
"""Rounds of iteratively reweighted least squares."""

_TEMPORAL: Final = 0.04
_ANCHOR: Final = 100.0


def solve_mapping(
    layer: LayerView,
    begin: LayerMap,
    matches: Sequence[Matches],
    stiffness: Stiffness,
    held: Sequence[int],
    progress: Progress = SILENT,
) -> LayerMap:
    """Solve for the map that agrees best with the matches.

    Args:
        layer: the layer, at working size.
        begin: starting map and prior, on the lattice of that stiffness.
        matches: of all pairs of frames.
        stiffness: how far the layer may deform.
        held: frames that keep their start.
        progress: of solving.
    """
    lattice, initial = begin.lattice, _flatten(begin.nodes)
    if not matches:
        return begin
    design, offsets = _equations(lattice, layer.count, matches)
    weight = _balanced(lattice, layer, matches)
    prior = _prior(lattice, layer.count, held, stiffness.spatial)
    from_prior, transposed = prior @ initial, design.T.tocsr()
    nodes = initial.copy()
    for _, part in progress.each(range(_ROUNDS)):
        miss = np.linalg.norm(design @ nodes - offsets, axis=1) / stiffness.tolerance_px
        robust = weight / np.maximum(1, miss) / np.maximum(1, miss / 4)
        weighted = transposed.copy()
        weighted.data *= robust[transposed.indices]
        nodes = conjugate_gradients(weighted @ design + prior, weighted @ offsets + from_prior, nodes, part)
    return LayerMap(begin.reference, lattice, _unflatten(nodes, lattice, layer.count))


def bending(layer: LayerView) -> Stiffness:
    """Stiffness of a deforming layer, by whether there is a user's flow."""
    return FLEXIBLE if layer.flow is None else BELIEVING


def lattice_of(layer: LayerView, stiffness: Stiffness) -> Lattice:
    """Lattice on which a map of that stiffness is solved."""
    return Lattice.over(layer.size, stiffness.cells)


def starting_map(lattice: Lattice, layer: LayerView, reference: int, motion: ClipMotion) -> LayerMap:
    """Sample homographies to the reference frame at the lattice's nodes.

    Away from the layer a homography may run to infinity; there the affine map fitted to it at the layer replaces it.
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


def _near(positions: Float[np.ndarray, "row column 2"], box: Box, margin: float) -> np.ndarray:
    """Whether each node lies within the box, widened by two margins."""
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
    """Build one row for each match: ``D_a(p) - D_b(q) = q - p``."""
    field = lattice.rows * lattice.columns

    def side(frames: list[int], points: list[Float32[np.ndarray, "_ 2"]]) -> tuple[Points, Int[np.ndarray, " match"]]:
        lengths = [len(one) for one in points]
        return np.concatenate(points), np.repeat(np.array(frames, dtype=np.int64) * field, lengths)

    here = side([match.frame_a for match in matches], [match.points_a for match in matches])
    there = side([match.frame_b for match in matches], [match.points_b for match in matches])
    return difference_rows(lattice, count * field, here, there), (there[0] - here[0]).astype(np.float64)


def _balanced(lattice: Lattice, layer: LayerView, matches: Sequence[Matches]) -> float:
    """Weight of a match that makes stiffness independent of the picture's size and the matches' density."""
    shown = sum(float(layer.areas_px[match.frame_a]) for match in matches)
    spacing_px2 = shown / max(1, sum(len(match.points_a) for match in matches))
    return 16 * spacing_px2 / lattice.cell_px**2


def _prior(lattice: Lattice, count: int, held: Sequence[int], spatial: float) -> sp.csr_array:
    """Normal matrix of the prior on the difference from the start: thin plate, second difference in time, anchors."""
    index = np.arange(count * lattice.rows * lattice.columns).reshape(count, lattice.rows, lattice.columns)
    steady = squared(index.size, (index[:-2], 1), (index[1:-1], -2), (index[2:], 1))
    anchor = np.full(index.shape, 1e-5)
    anchor[list(held)] = _ANCHOR
    return (spatial * thin_plate(index) + _TEMPORAL * steady + sp.diags_array(anchor.ravel())).tocsr()
