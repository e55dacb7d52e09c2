"""The corners of an insert on the atlas: find, move and key them, and draw them as handles over the Image editor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import bpy

from nvd_core.spec.edits import CORNERS

from ..host import compat
from ..host.nodes import Node

Point = tuple[float, float]

INSIDE: Final = len(CORNERS)
"""Handle that moves all corners."""

_REACH_PX: Final = 12.0
_SIDE_PX: Final = 5.0
_COLOUR: Final = (1.0, 0.6, 0.1, 1.0)


def corners_of(node: Node) -> list[Point]:
    """Corners at the current frame, uv_atlas."""
    return [tuple(node.inputs[label].default_value[:2]) for label in CORNERS]


def set_corners(node: Node, corners: Sequence[Point]) -> None:
    """Move the corners, uv_atlas."""
    for label, (u, v) in zip(CORNERS, corners, strict=True):
        node.inputs[label].default_value = (u, v, 0.0)


def has_keys(node: Node) -> bool:
    """Whether a corner has key frames."""
    paths = {node.inputs[label].path_from_id("default_value") for label in CORNERS}
    return any(curve.data_path in paths for curve in compat.curves_of(node.id_data))


def key(node: Node, frame: int) -> None:
    """Set key frames of all corners at a frame; linear, as the record has them."""
    for label in CORNERS:
        node.inputs[label].keyframe_insert("default_value", frame=frame)
    paths = {node.inputs[label].path_from_id("default_value") for label in CORNERS}
    for curve in [one for one in compat.curves_of(node.id_data) if one.data_path in paths]:
        for point in curve.keyframe_points:
            if point.co.x == frame:
                point.interpolation = "LINEAR"


def dragged(corners: Sequence[Point], handle: int, by: Point) -> list[Point]:
    """Corners after one of them, or all, have been moved by a distance."""
    return [(u + by[0], v + by[1]) if handle in {place, INSIDE} else (u, v) for place, (u, v) in enumerate(corners)]


def handle_at(corners_px: Sequence[Point], point_px: Point) -> int | None:
    """Handle at a point: a corner's place, or :data:`INSIDE`; None outside."""
    distances = [math.dist(corner, point_px) for corner in corners_px]
    if min(distances) <= _REACH_PX:
        return distances.index(min(distances))
    return INSIDE if _is_inside(corners_px, point_px) else None


def _is_inside(corners: Sequence[Point], point: Point) -> bool:
    """Whether a ray to the right crosses an odd number of sides."""
    x, y = point
    crossings = 0
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossings += 1
    return crossings % 2 == 1


def on_region(region: bpy.types.Region, corners: Sequence[Point]) -> list[Point]:
    """Corners in pixels of an Image editor's region."""
    return [region.view2d.view_to_region(u, v, clip=False) for u, v in corners]


def draw(corners_px: Sequence[Point]) -> None:
    """Draw the outline and a square at every corner; for a POST_PIXEL draw handler."""
    import gpu  # noqa: PLC0415 (not there without a window)
    from gpu_extras.batch import batch_for_shader  # noqa: PLC0415

    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    shader.uniform_float("color", _COLOUR)
    sides = [end for pair in zip(corners_px, [*corners_px[1:], corners_px[0]], strict=True) for end in pair]
    batch_for_shader(shader, "LINES", {"pos": sides}).draw(shader)
    a = _SIDE_PX
    steps = [(-a, -a), (a, -a), (a, a), (-a, -a), (a, a), (-a, a)]
    squares = [(x + dx, y + dy) for x, y in corners_px for dx, dy in steps]
    batch_for_shader(shader, "TRIS", {"pos": squares}).draw(shader)
