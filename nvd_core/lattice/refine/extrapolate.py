"""Step 6, beyond the outline: extrapolate a layer's map to where an artist may add to it, a hat or a sign.

There no match lies, and the least squares soon return to their start. The motion of the layer as a whole, a homography
or an affine map, is continued instead, with the deviations of the nodes nearest to each place: by moving least squares
(Schaefer et al., Image Deformation Using Moving Least Squares, 2006).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.image.fit import fit_homography
from nvd_core.image.geometry import Homography, Points, transform
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.progress import SILENT, Progress

_KEPT_CELLS: Final = 3.0
"""Distance from the layer up to which nodes stay; over as much more they pass into the extrapolated ones."""

_EVERY: Final = 4
"""Nodes between two places that are extrapolated; those between them are interpolated."""

_MOST_NODES: Final = 400
"""Nodes of the layer that are continued, evenly chosen."""

_FEWEST: Final = 12

_FLAT_PX: Final = 1.0
"""Largest deviation from a homography, working px, by which a layer counts as flat (99 of 100 nodes)."""

_LEAST_DEPTH: Final = 0.2
"""Least ratio of a homography's depths in the frame: beyond, its horizon is near."""

_STEADY: Final = 0.1
"""Regularisation of slopes of the deviation: noise at the rim would grow with the distance."""


def extrapolate(layer: LayerView, mapping: LayerMap, progress: Progress = SILENT) -> LayerMap:
    """Extrapolate the map of every frame beyond the layer; a layer that fills the frame is left."""
    if layer.fills_frame:
        return mapping

    def extended(t: int) -> Float32[np.ndarray, "row column 2"]:
        nodes = mapping.nodes[t]
        return _extended(mapping.lattice, nodes, layer.inside(t)) if t in visible else nodes

    visible = set(layer.visible)
    return replace(mapping, nodes=np.stack(map_all(extended, range(layer.count), progress)))


def _extended(
    lattice: Lattice, nodes: Float32[np.ndarray, "row column 2"], inside: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "row column 2"]:
    places = lattice.positions()
    from_layer = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    distance_cells = warp(from_layer, places) / lattice.cell_px
    known = distance_cells == 0
    if np.count_nonzero(known) < _FEWEST:
        return nodes
    at, displaced = places[known], nodes[known]
    motion = _motion_of(at, at + displaced, places)
    moved = transform(motion, places.astype(np.float64)) - places
    some = slice(None, None, max(1, len(at) // _MOST_NODES))
    coarse = places[::_EVERY, ::_EVERY]
    deviation = _continued(at[some], (displaced - moved[known])[some].astype(np.float32), coarse, 2 * lattice.cell_px)
    far = moved + warp(deviation, (places / lattice.cell_px / _EVERY).astype(np.float32))
    share = np.clip(distance_cells / _KEPT_CELLS - 1, 0, 1)[..., None]
    return (nodes * (1 - share) + far * share).astype(np.float32)


def _motion_of(source: Points, target: Points, everywhere: Float32[np.ndarray, "row column 2"]) -> Homography:
    """Fit the motion of a flat layer by a homography, if it has no horizon in the frame; else by an affine map."""
    flat = fit_homography(source, target, _FLAT_PX)
    if flat is not None and np.count_nonzero(flat.inliers) > 0.99 * len(source):
        depth = everywhere @ flat.matrix[2, :2] + flat.matrix[2, 2]
        if depth.min() > _LEAST_DEPTH * depth.max() > 0:
            return flat.matrix
    design = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    affine = np.linalg.lstsq(design, target.astype(np.float64), rcond=None)[0]
    return np.vstack([affine.T, [0, 0, 1]])


def _continued(
    at: Float32[np.ndarray, "node 2"],
    values: Float32[np.ndarray, "node 2"],
    places: Float32[np.ndarray, "row column 2"],
    reach_px: float,
) -> Float32[np.ndarray, "row column 2"]:
    """Continue values at scattered points to other places: the affine function that fits the nearest ones best."""
    middle = at.mean(axis=0)
    (x, y), (u, v) = (at - middle).astype(np.float64).T, values.astype(np.float64).T
    to = (places.reshape(-1, 2) - middle).astype(np.float64)
    apart = (to[:, :1] - x) ** 2 + (to[:, 1:] - y) ** 2
    weight = 1 / (apart + reach_px**2) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    # Weighted moments of first and second order, all by one product.
    moments = (weight @ np.stack([x, y, u, v, x * x, x * y, y * y, x * u, y * u, x * v, y * v], axis=1)).T
    x, y, u, v, xx, xy, yy, xu, yu, xv, yv = moments
    covariance = np.array([[xx - x * x, xy - x * y], [xy - x * y, yy - y * y]])
    covariance += (_STEADY * (covariance[0, 0] + covariance[1, 1]) + 1e-6) * np.eye(2)[..., None]
    with_values = np.array([[xu - x * u, xv - x * v], [yu - y * u, yv - y * v]])
    slope = np.linalg.solve(covariance.transpose(2, 0, 1), with_values.transpose(2, 0, 1))
    continued = np.stack([u, v], axis=1) + ((to - np.stack([x, y], axis=1))[:, None] @ slope)[:, 0]
    return continued.reshape(places.shape).astype(np.float32)
