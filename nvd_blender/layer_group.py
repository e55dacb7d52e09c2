"""One layer's node group: what its paint does to the plate, and what the layer is by itself.

It computes what :mod:`nvd_core.compositing` states; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import bpy

from nvd_core.conventions import LEFT_AT_LEAST, OWNED_FROM, TOLERANCE_ABSOLUTE, TOLERANCE_RELATIVE

from . import compat
from .compat import Node, Socket, Tree


class Control(NamedTuple):
    """A number that the artist sets for a layer."""

    name: str
    most: float
    text: str


SHOWN: Final = "Shown"
"""0 or 1: what the layer's eye and solo buttons come to; see :mod:`nvd_blender.layers`."""

CONTROLS: Final = (
    Control("Opacity", 1.0, "Of the layer where the frame is rebuilt, of its paint where the plate is kept"),
    Control("Light", 1.0, "How much of the shot's light falls on the layer: at 0 its atlas is shown unlit"),
    Control("Gain", 10.0, "Factor on the layer's light"),
)
"""They are inputs of the group, all 1 at first, so they can be animated and driven like any other."""

_OPAQUE: Final = "Opaque"

_PAINTED: Final = "Look-up of the painted atlas"
_ORIGINAL: Final = "Look-up of the original"
_WHITE: Final = (1.0, 1.0, 1.0, 1.0)

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"

_PICTURES: Final = {
    "Plate": _COLOUR, "UV": _VECTOR, "Alpha": _NUMBER, "Residual": _COLOUR, "Painted": _COLOUR, "Original": _COLOUR,
}  # fmt: skip

_FROM_THE_FRONT: Final = {"Uncovered": 1.0, "Let Through": 0.0}
"""What layers in front leave of a pixel, and what more they let through when they are not opaque."""

_BOTTOM: Final = "Bottom"


def add_layer_group(
    tree: Tree, name: str, pictures: Sequence[Socket], atlases: Sequence[bpy.types.Image], front: Node | None
) -> Node:
    """A node with a group of its own for one layer; its outputs are *Change*, *Layer* and those for the next behind.

    Args:
        tree: where the node goes.
        name: of the group.
        pictures: plate, UV pass, alpha, residual, painted atlas, original atlas.
        atlases: the two.
        front: the node of the layer in front, if there is one.
    """
    node = tree.nodes.new("CompositorNodeGroup")
    # A copy takes Blender a tenth of the time that it takes to build one.
    node.node_tree = front.node_tree.copy() if front else _layer_group(*atlases)
    node.node_tree.name = name
    for control in (SHOWN, _OPAQUE, *(one.name for one in CONTROLS)):
        node.inputs[control].default_value = 1.0
    fit_atlases(node, *atlases)
    for label, value in _FROM_THE_FRONT.items():
        node.inputs[label].default_value = value
        if front:
            tree.links.new(front.outputs[label], node.inputs[label])
    for label, socket in zip(_PICTURES, pictures, strict=True):
        tree.links.new(socket, node.inputs[label])
    return node


def set_bottom(node: Node) -> None:
    """Tell a layer that it is behind every pixel, also where layers in front hide it wholly."""
    node.inputs[_BOTTOM].default_value = 1.0


def fit_atlases(node: Node, atlas: bpy.types.Image, original: bpy.types.Image) -> None:
    """Tell a layer's node that its atlases are others: of another size, or transparent where the original shows."""
    for name, image in ((_PAINTED, atlas), (_ORIGINAL, original)):
        if look_up := node.node_tree.nodes.get(name):  # if the user has left it there
            compat.fit_map_uv(look_up, image)
    node.inputs[_OPAQUE].default_value = float(atlas.alpha_mode != "STRAIGHT")


def _layer_group(atlas: bpy.types.Image, untouched: bpy.types.Image) -> Tree:
    tree = bpy.data.node_groups.new("NVD", "CompositorNodeTree")
    _declare(tree)
    inputs = {socket.name: socket for socket in tree.nodes.new("NodeGroupInput").outputs}
    plate, uv, alpha, residual, painted, original = (inputs[label] for label in _PICTURES)
    look_up = compat.map_uv(tree, painted, atlas, uv)
    look_up.name = look_up.label = _PAINTED
    untouched_look_up = compat.map_uv(tree, original, untouched, uv)
    untouched_look_up.name = untouched_look_up.label = _ORIGINAL
    original = untouched_look_up.outputs[0]
    painted = _laid_over(tree, look_up.outputs[0], original, inputs[_OPAQUE])
    opacity = compat.math(tree, "MULTIPLY", inputs["Opacity"], inputs[SHOWN])
    light = compat.mix(tree, "MIX", inputs["Light"], _WHITE, residual)
    light = compat.mix(tree, "MULTIPLY", 1.0, light, inputs["Gain"])
    lit = compat.mix(tree, "MULTIPLY", 1.0, light, painted)
    was = compat.mix(tree, "MULTIPLY", 1.0, residual, original)

    touched = compat.math(tree, "MULTIPLY", opacity, _changed(tree, painted, original))
    owned = compat.math(tree, "DIVIDE", compat.math(tree, "SUBTRACT", alpha, OWNED_FROM), 1 - OWNED_FROM, clamp=True)
    difference, mismatch = compat.mix(tree, "SUBTRACT", 1.0, lit, was), compat.mix(tree, "SUBTRACT", 1.0, was, plate)
    added = compat.mix(tree, "MULTIPLY", 1.0, difference, compat.math(tree, "MULTIPLY", alpha, touched))
    replaced = compat.mix(tree, "MULTIPLY", 1.0, mismatch, compat.math(tree, "MULTIPLY", owned, touched))

    output = tree.nodes.new("NodeGroupOutput")
    seen = _see_through(tree, alpha, opacity, inputs, output)
    tree.links.new(compat.mix(tree, "ADD", 1.0, added, replaced), output.inputs["Change"])
    tree.links.new(compat.mix(tree, "MULTIPLY", 1.0, lit, seen), output.inputs["Layer"])
    compat.arrange(tree)
    return tree


def _declare(tree: Tree) -> None:
    """The group's inputs and outputs."""
    for label, kind in _PICTURES.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=kind)
    shown = Control(SHOWN, 1.0, "Set by the layer's eye and solo buttons")
    opaque = Control(_OPAQUE, 1.0, "At 0 the original shows where the painted picture is transparent")
    bottom = Control(_BOTTOM, 1.0, "1 for the layer that is behind every pixel")
    for control in (shown, opaque, bottom, *CONTROLS):
        socket = tree.interface.new_socket(control.name, in_out="INPUT", socket_type=_NUMBER)
        socket.default_value, socket.min_value, socket.max_value = float(control is not bottom), 0.0, control.most
        socket.description = control.text
    for label, value in _FROM_THE_FRONT.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=_NUMBER).default_value = value
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_NUMBER)
    for label in ("Change", "Layer"):
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_COLOUR)


def _laid_over(tree: Tree, painted: Socket, original: Socket, opaque: Socket) -> Socket:
    """A picture that may be transparent over the original; where it counts as opaque, the picture as it is.

    See :meth:`nvd_core.decomposition.Decomposition.painted`: what is brighter than white can only be white in
    a picture of whole numbers, and is no paint.
    """
    *colour, alpha = compat.channels(tree, painted)
    left = compat.math(tree, "SUBTRACT", 1.0, compat.math(tree, "MAXIMUM", alpha, opaque))
    white = compat.math(tree, "MULTIPLY", alpha, 0.9999)
    counts = compat.math(tree, "MULTIPLY", alpha, compat.math(tree, "SUBTRACT", 1.0, opaque))
    over = []
    for ours, theirs in zip(colour, compat.channels(tree, original)[:3], strict=True):
        beyond = compat.math(tree, "MAXIMUM", compat.math(tree, "SUBTRACT", theirs, 1.0), 0.0)
        kept = compat.math(tree, "MULTIPLY", compat.math(tree, "GREATER_THAN", ours, white), beyond)
        laid = compat.math(tree, "MULTIPLY_ADD", theirs, left, ours)
        over.append(compat.math(tree, "MULTIPLY_ADD", kept, counts, laid))
    return compat.colour(tree, *over)


def _changed(tree: Tree, painted: Socket, original: Socket) -> Socket:
    """See :func:`nvd_core.compositing.changed`."""
    ours, theirs = compat.channels(tree, painted), compat.channels(tree, original)
    apart = brightest = None
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        distance = compat.math(tree, "ABSOLUTE", compat.math(tree, "SUBTRACT", one, other))
        brighter = compat.math(tree, "MAXIMUM", one, other)
        apart = distance if apart is None else compat.math(tree, "MAXIMUM", apart, distance)
        brightest = brighter if brightest is None else compat.math(tree, "MAXIMUM", brightest, brighter)
    tolerance = compat.math(tree, "MULTIPLY_ADD", brightest, TOLERANCE_RELATIVE, TOLERANCE_ABSOLUTE)
    return compat.math(tree, "SUBTRACT", compat.math(tree, "DIVIDE", apart, tolerance), 1.0, clamp=True)


def _see_through(tree: Tree, alpha: Socket, opacity: Socket, inputs: dict[str, Socket], output: Node) -> Socket:
    """See :func:`nvd_core.compositing.see_through`, of which this is one turn."""
    uncovered, let_through = (inputs[label] for label in _FROM_THE_FRONT)
    left = compat.math(tree, "MAXIMUM", uncovered, LEFT_AT_LEAST)
    coverage = compat.math(tree, "MAXIMUM", inputs[_BOTTOM], compat.math(tree, "DIVIDE", alpha, left, clamp=True))
    seen = compat.math(tree, "MULTIPLY", opacity, compat.math(tree, "MULTIPLY_ADD", coverage, let_through, alpha))
    hidden = compat.math(tree, "SUBTRACT", alpha, seen)
    tree.links.new(compat.math(tree, "SUBTRACT", uncovered, alpha), output.inputs["Uncovered"])
    tree.links.new(compat.math(tree, "ADD", let_through, hidden), output.inputs["Let Through"])
    return seen
