"""Composite inserts: pictures that are pinned to an atlas by their corners, looked up by the UV pass of a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32

from nvd_core.image.geometry import bounding_box
from nvd_core.shot.blending import Colour, blend
from nvd_core.shot.compositing import Over, look_up
from nvd_core.spec.edits import RIM_PX, Blend, Corners

_OUTSIDE: Final = -1.0
"""Position on an insert's picture where it is transparent."""


class Pinned(NamedTuple):
    """An insert as one frame shows it.

    Attributes:
        picture: linear light, premultiplied, with a transparent rim of one pixel around it.
        corners: of the picture without the rim, uv_atlas; see :data:`nvd_core.spec.edits.CORNERS`.
        opacity: 0 to 1.
        blend: mode.
        is_clipped: to the layer's outline.
    """

    picture: Float32[np.ndarray, "rows columns 4"]
    corners: Corners
    opacity: float
    blend: Blend
    is_clipped: bool


class Inserts(NamedTuple):
    """All inserts of a layer in one frame, composited.

    Attributes:
        within: all inserts, clipped to the outline or not.
        beyond: those that show beyond it, too.
    """

    within: Over
    beyond: Over


def composite_inserts(
    pinned: Sequence[Pinned],
    uv_atlas: Float32[np.ndarray, "height width 2"],
    surface: Callable[[], Float32[np.ndarray, "height width 3"]],
) -> Inserts:
    """Composite inserts, bottom first, over nothing.

    Args:
        pinned: the inserts.
        uv_atlas: the layer's UV pass.
        surface: of what lies below them, linear light without the shot's, which blend modes other than mix need.
    """
    shape = uv_atlas.shape[:2]
    nothing = Over(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32))
    within = beyond = nothing
    for one in pinned:
        picture = _seen(one, uv_atlas)
        if picture is None:
            continue
        if one.blend != "MIX":
            backdrop = within.colour + surface() * (1 - within.share)[..., None]
            picture = _blended(one.blend, backdrop, picture)
        within = picture.over(within)
        if not one.is_clipped:
            beyond = picture.over(beyond)
    return Inserts(within, beyond)


def on_picture(corners: Corners, uv_atlas: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
    """Position (right, up) on a picture, 0 to 1 between its corners, of points of the atlas; -1 behind its horizon.

    The homography from the picture to the atlas is inverted in closed form, as the node tree does (Heckbert,
    Fundamentals of Texture Mapping and Image Warping, 1989).
    """
    (x3, y3), (x2, y2), (x1, y1), (x0, y0) = np.array(corners, np.float64)
    x1, x2, x3, y1, y2, y3 = x1 - x0, x2 - x0, x3 - x0, y1 - y0, y2 - y0, y3 - y0
    across, up, turn = (x1 - x2, y1 - y2), (x3 - x2, y3 - y2), (x2 - x1 - x3, y2 - y1 - y3)
    area = across[0] * up[1] - up[0] * across[1]
    if area == 0:
        return np.full(uv_atlas.shape, _OUTSIDE, np.float32)
    g, h = (turn[0] * up[1] - up[0] * turn[1]) / area, (across[0] * turn[1] - turn[0] * across[1]) / area
    a, d, b, e = x1 * (1 + g), y1 * (1 + g), x3 * (1 + h), y3 * (1 + h)
    u, v = (uv_atlas[..., axis].astype(np.float64) - start for axis, start in ((0, x0), (1, y0)))
    depth = (d * h - e * g) * u + (b * g - a * h) * v + (a * e - b * d)
    is_before = depth * (a * e - b * d) > 0
    depth = np.where(is_before, depth, 1)
    position = np.stack([(e * u - b * v) / depth, (a * v - d * u) / depth], axis=-1)
    return np.where(is_before[..., None], position, _OUTSIDE).astype(np.float32)


def _seen(one: Pinned, uv_atlas: Float32[np.ndarray, "height width 2"]) -> Over | None:
    """Warp an insert into a frame; None if it is not seen there."""
    position = on_picture(one.corners, uv_atlas)
    box = bounding_box(np.asarray(((position > _OUTSIDE) & (position < 1 - _OUTSIDE)).all(axis=-1)))
    if box is None:
        return None
    rows, columns = one.picture.shape[:2]
    inner = np.array([columns - 2 * RIM_PX, rows - 2 * RIM_PX], np.float32)
    at = (position[box.slices] * inner + RIM_PX) / np.array([columns, rows], np.float32)
    seen = Over(np.zeros((*uv_atlas.shape[:2], 3), np.float32), np.zeros(uv_atlas.shape[:2], np.float32))
    picture = np.float32(one.opacity) * look_up(one.picture, at)
    seen.colour[box.slices], seen.share[box.slices] = picture[..., :3], picture[..., 3]
    return seen


def _blended(mode: Blend, below: Colour, above: Over) -> Over:
    """Blend a picture with what lies below it, where it is not transparent."""
    there = above.share > 0
    colour, share = np.zeros_like(above.colour), above.share[there][:, None]
    colour[there] = share * blend(mode, below[there], above.colour[there] / share)
    return Over(colour, above.share)
