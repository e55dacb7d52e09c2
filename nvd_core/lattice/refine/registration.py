"""Step 5, registration: register every frame to the layer's own picture by optical flow.

The picture is the robust mean of all frames through the map, so that passing shadows are not in it
(measured: 0.1 px nearer to the truth than registering to one frame). It is warped to each frame and relit
as the frame is, so that light is not taken for motion; optical flow between the two corrects the map.
Corrections are smoothed over a radius that shrinks from pass to pass as long as it pays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.flow.dis import dis_flow
from nvd_core.image.colour import display_from_linear, luma8, to_linear, to_uint8
from nvd_core.image.filters import blur, difference
from nvd_core.image.geometry import Positions, is_inside, rescaled
from nvd_core.image.sample import warp, warp_by_flow
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.photometry import RELIGHT_SIGMA_PX, Picture, photo_error, render
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import Size

_MAX_MOVE_PX: Final = 12.0
_DOUBT: Final = 8.0
"""Scale of the robust (Cauchy) weight: remaining difference, of 255, at which a pixel counts half in the correction."""


def mean_error(layer: LayerView, mapping: LayerMap, picture: Picture, progress: Progress = SILENT) -> float:
    """Mean photometric error of the picture over all frames that show the layer, 0 to 40 of 255.

    Frames of which the picture covers less than a quarter are left out; NaN if none is left.
    """

    def error(t: int) -> float:
        box = layer.box(t)
        return photo_error(layer, t, box.slices, mapping.positions(t, layer.size)[box.slices], picture)

    return float(np.nanmean(map_all(error, layer.visible, progress)))


def register_again(
    layer: LayerView, mapping: LayerMap, picture: Picture, radius_px: float, progress: Progress = SILENT
) -> LayerMap:
    """Register every frame to the picture, and correct the map by the flow between them.

    Args:
        layer: the layer, at the size at which it is registered.
        mapping: its map so far.
        picture: its picture through that map.
        radius_px: Gaussian sigma that corrections are smoothed with, px of these frames.
        progress: of registering.
    """
    places, working = mapping.lattice.positions(), mapping.lattice.size
    nodes = np.dstack(rescaled(places, working, layer.size))

    def moved(t: int) -> Float32[np.ndarray, "row column 2"]:
        if layer.boxes[t] is None:
            return mapping.nodes[t]
        positions = mapping.positions(t, layer.size)
        at = nodes + _correction(layer, t, nodes, positions, picture, radius_px)
        # Composition: the corrected map at a node is the old map where the correction leads. Bilinear: OpenCV's
        # cubic filter does not keep a straight line straight, and its error would add up over passes.
        before = warp(positions, at)
        return np.where(is_inside(at, layer.size)[..., None], before - places, mapping.nodes[t])

    return replace(mapping, nodes=np.stack(map_all(moved, range(layer.count), progress)))


def _correction(
    layer: LayerView,
    t: int,
    nodes: Float32[np.ndarray, "row column 2"],
    positions: Positions,
    picture: Picture,
    radius_px: float,
) -> Float32[np.ndarray, "row column 2"]:
    """Flow from a frame to its rendering at each node, px; smoothed, and 0 far from the layer."""
    box = layer.box(t).pixels_within(layer.size, margin=max(16, 3 * radius_px), least=64)
    frame8 = np.ascontiguousarray(layer.frames[t][box.slices])
    frame = frame8.astype(np.float32)
    sigma_px, inside = RELIGHT_SIGMA_PX * layer.scale, layer.inside(t)[box.slices]
    seen = render(picture, positions[box.slices], to_linear(frame8), inside, sigma_px)
    # Outside the layer the frame stands in for the rendering, so that the matte's edge makes no flow.
    share = blur(seen.valid.astype(np.float32), 0.7)[..., None]
    expected = display_from_linear(seen.linear) * 255 * share + frame * (1 - share)
    finest_scale = 0 if radius_px < 8 or layer.scale < 1 else 1  # finer flow would be smoothed away
    move = dis_flow(luma8(frame8), luma8(to_uint8(expected / 255)), finest_scale=finest_scale, is_near=True)
    move *= np.minimum(1, _MAX_MOVE_PX * layer.scale / (np.hypot(move[..., :1], move[..., 1:]) + 1e-6))
    after = warp_by_flow(expected, move)
    error_before = blur(difference(expected, frame), 1.5)
    error_after = blur(difference(after, frame), 1.5)
    better = seen.valid & (error_after <= error_before + 0.5)
    sure = better.astype(np.float32) / (1 + (error_after / _DOUBT) ** 2)
    smooth, shrink = _smoothed(move, sure, radius_px)
    at = (nodes - (box.left, box.top) + 0.5) * shrink - 0.5
    return warp(smooth, at.astype(np.float32), outside=0)


def _smoothed(
    move: Float32[np.ndarray, "height width 2"], sure: Float32[np.ndarray, "height width"], radius_px: float
) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, " 2"]]:
    """Weighted Gaussian mean of a flow; with wide sigmas on a smaller picture, whose scale (x, y) is returned, too."""
    height, width = sure.shape
    factor = max(1, int(radius_px / 4))
    small = Size(max(1, width // factor), max(1, height // factor))
    total = cv2.resize(np.dstack([move * sure[..., None], sure]), small, interpolation=cv2.INTER_AREA)
    total = blur(total, radius_px * small.width / width)
    scale = np.array([small.width / width, small.height / height], np.float32)
    return total[..., :2] / (total[..., 2:] + 1e-2), scale
