"""Build the node group of an insert: a picture pinned to a layer's atlas, laid over the inserts below it.

It computes the formulas of :mod:`nvd_core.shot.inserts`; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import bpy

from nvd_core.spec.edits import CORNERS, RIM_PX, Insert

from ..host import nodes
from ..host.nodes import Node, Socket, Tree
from .node_layout import arrange

OPACITY: Final = "Opacity"
PICTURE: Final = "Picture"
BELOW: Final = ("Below", "Below Beyond")
ABOVE: Final = ("Inserts", "Inserts Beyond")
"""Inputs for the inserts below, and outputs with this one over them: all, and those beyond the outline."""

SURFACE: Final = "Surface"
"""Input of what blend modes see below all inserts."""

_LARGE: Final = 1e6
_TINY: Final = 1e-30

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"
_PICTURES: Final = {BELOW[0]: _COLOUR, BELOW[1]: _COLOUR, PICTURE: _COLOUR, "UV": _VECTOR, SURFACE: _COLOUR}
NUMBERS: Final = ("Clipped", "First", "Last", "Fade In", "Fade Out", "Shown")
"""Inputs that are set from the insert, beside its opacity and its corners."""


class _Point(NamedTuple):
    x: Socket
    y: Socket


def insert_group(insert: Insert, image: bpy.types.Image) -> Tree:
    """Build the group of an insert, with its blend mode and the size of its picture."""
    tree = bpy.data.node_groups.new(f"NVD Insert {insert.name}", "CompositorNodeTree")
    for label, kind in _PICTURES.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=kind)
    for label in (OPACITY, *CORNERS, *NUMBERS):
        is_corner = label in CORNERS
        socket = tree.interface.new_socket(label, in_out="INPUT", socket_type=_VECTOR if is_corner else _NUMBER)
        if label == OPACITY:
            socket.min_value, socket.max_value = 0.0, 1.0
    for label in ABOVE:
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_COLOUR)
    inputs = {socket.name: socket for socket in tree.nodes.new("NodeGroupInput").outputs}
    at = _on_picture(tree, [_Point(*nodes.coordinates(tree, inputs[corner])) for corner in CORNERS], inputs["UV"])
    above = nodes.map_uv(tree, inputs[PICTURE], image, _texture(tree, insert, at)).outputs[0]
    if insert.blend != "MIX":
        above = _blended(tree, insert.blend, above, inputs[BELOW[0]], inputs[SURFACE])
    strength = nodes.math(tree, "MULTIPLY", inputs[OPACITY], _fade(tree, inputs))
    beyond = nodes.math(tree, "MULTIPLY", strength, nodes.math(tree, "SUBTRACT", 1.0, inputs["Clipped"]))
    output = tree.nodes.new("NodeGroupOutput")
    for share, below, result in zip((strength, beyond), BELOW, ABOVE, strict=True):
        tree.links.new(nodes.over(tree, share, inputs[below], above), output.inputs[result])
    arrange(tree)
    return tree


def set_insert(node: Node, insert: Insert, frame: int, last: int) -> None:
    """Set a node of the group to an insert's values.

    Args:
        node: of the group.
        insert: its values; of key frames the first.
        frame: the shot's first.
        last: the shot's last.
    """
    for label in BELOW:
        node.inputs[label].default_value = (0.0, 0.0, 0.0, 0.0)
    for corner, (u, v) in zip(CORNERS, insert.corners_at(frame), strict=True):
        node.inputs[corner].default_value = (u, v, 0.0)
    node.inputs[OPACITY].default_value = insert.opacity[0][1]
    set_numbers(node, insert, frame, last)


def set_numbers(node: Node, insert: Insert, frame: int, last: int) -> None:
    """Set those inputs of a node that are :data:`NUMBERS`; arguments as in :func:`set_insert`."""
    for label, value in (
        ("Clipped", insert.is_clipped),
        ("First", frame - insert.fade_in - 1 if insert.first is None else insert.first),
        ("Last", last + insert.fade_out + 1 if insert.last is None else insert.last),
        ("Fade In", insert.fade_in),
        ("Fade Out", insert.fade_out),
        ("Shown", insert.is_visible),
    ):
        node.inputs[label].default_value = float(value)


def _fade(tree: Tree, inputs: dict[str, Socket]) -> Socket:
    """As :meth:`nvd_core.spec.edits.Insert.strength`, without its opacity."""
    frame, share = nodes.scene_frame(tree), inputs["Shown"]
    since = nodes.math(tree, "SUBTRACT", frame, inputs["First"])
    until = nodes.math(tree, "SUBTRACT", inputs["Last"], frame)
    for steps, fade in ((since, "Fade In"), (until, "Fade Out")):
        length = nodes.math(tree, "ADD", inputs[fade], 1.0)
        part = nodes.math(tree, "DIVIDE", nodes.math(tree, "ADD", steps, 1.0), length, clamp=True)
        share = nodes.math(tree, "MINIMUM", share, part)
    return share


def _texture(tree: Tree, insert: Insert, at: tuple[_Point, Socket]) -> Socket:
    """STMap coordinates on the picture with its rim; at its border behind the horizon."""
    (x, y), is_before = at
    found = []
    for place, side in ((x, insert.width), (y, insert.height)):
        inner = nodes.math(tree, "MULTIPLY_ADD", place, (side - 2 * RIM_PX) / side, RIM_PX / side)
        found.append(nodes.math(tree, "MULTIPLY", inner, is_before))
    return nodes.vector(tree, *found, 1.0)


def _on_picture(tree: Tree, corners: list[_Point], uv: Socket) -> tuple[_Point, Socket]:
    """As :func:`nvd_core.shot.inserts.on_picture`, within bounds; also whether a point is before the horizon."""

    def minus(one: Socket, other: Socket) -> Socket:
        return nodes.math(tree, "SUBTRACT", one, other)

    def times(one: Socket, other: Socket) -> Socket:
        return nodes.math(tree, "MULTIPLY", one, other)

    def cross(one: _Point, other: _Point) -> Socket:
        return minus(times(one.x, other.y), times(one.y, other.x))

    def apart(one: _Point, other: _Point) -> _Point:
        return _Point(minus(one.x, other.x), minus(one.y, other.y))

    origin = corners[3]
    upper_left, upper_right, right = (apart(corner, origin) for corner in corners[:3])
    across, up = apart(right, upper_right), apart(upper_left, upper_right)
    turn = apart(apart(upper_right, right), upper_left)
    area = cross(across, up)
    g = nodes.math(tree, "DIVIDE", cross(turn, up), area)
    h = nodes.math(tree, "DIVIDE", cross(across, turn), area)
    g1, h1 = nodes.math(tree, "ADD", g, 1.0), nodes.math(tree, "ADD", h, 1.0)
    ad, be = _Point(times(right.x, g1), times(right.y, g1)), _Point(times(upper_left.x, h1), times(upper_left.y, h1))
    point = apart(_Point(*nodes.coordinates(tree, uv)), origin)
    turned = cross(ad, be)
    depth = nodes.math(
        tree,
        "MULTIPLY_ADD",
        minus(times(ad.y, h), times(be.y, g)),
        point.x,
        nodes.math(tree, "MULTIPLY_ADD", minus(times(be.x, g), times(ad.x, h)), point.y, turned),
    )
    before = times(depth, turned)
    is_before = nodes.math(tree, "GREATER_THAN", before, 0.0)
    scale = nodes.math(tree, "DIVIDE", turned, nodes.math(tree, "MAXIMUM", before, _TINY))
    found = []
    for place in (cross(point, be), cross(ad, point)):
        bounded = nodes.math(tree, "MAXIMUM", times(place, scale), -_LARGE)
        found.append(nodes.math(tree, "MINIMUM", bounded, _LARGE))
    return _Point(*found), is_before


def _blended(tree: Tree, mode: str, above: Socket, below: Socket, surface: Socket) -> Socket:
    """Blend a premultiplied picture with what lies below it: the inserts below, over the surface."""
    alpha = nodes.channels(tree, above)[3]
    whole = nodes.math(tree, "DIVIDE", 1.0, nodes.math(tree, "MAXIMUM", alpha, 1e-6))
    mixed = nodes.mix(tree, mode, 1.0, nodes.over(tree, 1.0, surface, below), nodes.scaled(tree, above, whole))
    return nodes.with_alpha(tree, nodes.scaled(tree, mixed, alpha), alpha)
