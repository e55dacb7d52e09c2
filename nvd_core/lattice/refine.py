"""Step 5: registering every frame again, to the layer's own picture.

All frames are averaged into one flat picture through the map; each frame is then compared with that
picture as the map shows it, lit as the frame is, and the map is moved by what optical flow still
finds. Light is matched first so that it is not taken for motion, and the picture is a robust mean so
that passing shadows are not in it (measured: 0.1 px nearer to the truth than registering to one
frame). Corrections are smoothed over a radius that shrinks only as long as it pays.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32

from nvd_core.clip.colour import display_from_linear, luma8, to_linear, to_uint8
from nvd_core.conventions import Size
from nvd_core.flow.dis import dis_flow
from nvd_core.lattice.imaging import blur, difference, pixel_grid, warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.photometry import Picture, photo_error, render
from nvd_core.lattice.spline import LayerMap
from nvd_core.parallel import map_ordered
from nvd_core.steps import gathered

_MAX_MOVE_PX: Final = 12.0
_DOUBT: Final = 8.0
"""A pixel that still differs by this (of 255) after the move counts half in the correction."""


def mean_error(layer: LayerView, mapping: LayerMap, picture: Picture) -> Generator[float, None, float]:
    """How badly the picture explains the frames: mean over all that show the layer, 0 to 40 of 255."""

    def error(t: int) -> float:
        box = layer.box(t)
        return photo_error(layer, t, box.slices, mapping.positions(t)[box.slices], picture)

    errors = yield from gathered(map_ordered(error, layer.visible), len(layer.visible))
    return float(np.nanmean(errors))


def register_again(
    layer: LayerView, mapping: LayerMap, picture: Picture, radius_px: float
) -> Generator[float, None, LayerMap]:
    """Move the map of every frame to where the picture fits it better.

    Args:
        layer: the layer, at working size.
        mapping: its map so far.
        picture: its picture through that map.
        radius_px: corrections are smoothed over this.
    """
    places = mapping.lattice.positions()
    last = np.array([layer.size.width - 1, layer.size.height - 1], np.float32)

    def moved(t: int) -> Float32[np.ndarray, "row column 2"]:
        if layer.boxes[t] is None:
            return mapping.nodes[t]
        at = places + _correction(layer, t, mapping, picture, radius_px)
        # What a node shows is what the map, until now, had where the correction leads. Bilinear: OpenCV's
        # cubic filter does not keep a straight line straight, which here would add up.
        before = warp(mapping.positions(t), at)
        outside = ((at < 0) | (at > last)).any(axis=-1, keepdims=True)
        return np.where(outside, mapping.nodes[t], before - places)

    nodes = yield from gathered(map_ordered(moved, range(layer.count)), layer.count)
    return LayerMap(mapping.reference, mapping.lattice, np.stack(nodes))


def _correction(
    layer: LayerView, t: int, mapping: LayerMap, picture: Picture, radius_px: float
) -> Float32[np.ndarray, "row column 2"]:
    """How far each node is from where the picture has it, px; smooth, and 0 far from the layer."""
    box = layer.box(t).grown(max(16, 3 * radius_px), layer.size, least=64)
    frame8 = np.ascontiguousarray(layer.frames[t][box.slices])
    frame = frame8.astype(np.float32)
    seen = render(picture, mapping.positions(t)[box.slices], to_linear(frame8), layer.inside(t)[box.slices])
    # Outside the layer the frame is compared with itself: the matte's edge stays silent.
    share = blur(seen.valid.astype(np.float32), 0.7)[..., None]
    expected = display_from_linear(seen.linear) * 255 * share + frame * (1 - share)
    finest_scale = 0 if radius_px < 8 else 1  # what is smoothed away need not be found
    move = dis_flow(
        luma8(frame8), luma8(to_uint8(expected / 255)), finest_scale=finest_scale, variational_iterations=10
    )
    move *= np.minimum(1, _MAX_MOVE_PX / (np.linalg.norm(move, axis=-1, keepdims=True) + 1e-6))
    after = warp(expected, pixel_grid(box.size) + move)
    error_before = blur(difference(expected, frame), 1.5)
    error_after = blur(difference(after, frame), 1.5)
    better = seen.valid & (error_after <= error_before + 0.5)
    sure = better.astype(np.float32) / (1 + (error_after / _DOUBT) ** 2)
    smooth, shrink = _smoothed(move, sure, radius_px)
    at = (mapping.lattice.positions() - (box.left, box.top) + 0.5) * shrink - 0.5
    return warp(smooth, at.astype(np.float32), outside=0)


def _smoothed(
    move: Float32[np.ndarray, "height width 2"], sure: Float32[np.ndarray, "height width"], radius_px: float
) -> tuple[Float32[np.ndarray, "rows columns 2"], Float32[np.ndarray, " 2"]]:
    """Mean of the sure moves around each pixel; wide means on a smaller picture, whose scale comes along."""
    height, width = sure.shape
    factor = max(1, int(radius_px / 4))
    small = Size(max(1, width // factor), max(1, height // factor))
    total = cv2.resize(np.dstack([move * sure[..., None], sure]), small, interpolation=cv2.INTER_AREA)
    total = blur(total, radius_px * small.width / width)
    scale = np.array([small.width / width, small.height / height], np.float32)
    return total[..., :2] / (total[..., 2:] + 1e-2), scale
