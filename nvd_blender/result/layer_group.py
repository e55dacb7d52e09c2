"""Build one layer's node group: the change of the plate by its paint, and the layer alone for rebuilding.

It computes the formulas of :mod:`nvd_core.shot.compositing`; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.conventions import LEFT_AT_LEAST, OWNED_FROM, TOLERANCE_ABSOLUTE, TOLERANCE_RELATIVE

from ..host import nodes
from ..host.nodes import Node, Socket, Tree
from .node_layout import arrange


class Control(NamedTuple):
    """Number that the artist sets for a layer: name, largest value, tooltip."""

    name: str
    most: float
    text: str


SHOWN: Final = "Shown"
"""Input of the group, 0 or 1, set by the layer's eye and solo buttons; see :mod:`nvd_blender.result.layers`."""

CONTROLS: Final = (
    Control("Opacity", 1.0, "Of the layer where the frame is rebuilt, of its paint where the plate is kept"),
    Control("Light", 1.0, "How much of the shot's light falls on the layer: at 0 its atlas is shown unlit"),
    Control("Gain", 10.0, "Factor on the layer's light"),
)
"""Inputs of the group, all 1 at first; the artist can animate and drive them."""

_OPAQUE: Final = "Opaque"

_PAINTED: Final = "Look-up of the painted atlas"
_ORIGINAL: Final = "Look-up of the original"
_WHITE: Final = (1.0, 1.0, 1.0, 1.0)

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"

_PICTURES: Final = {
    "Plate": _COLOUR, "UV": _VECTOR, "Alpha": _NUMBER, "Residual": _COLOUR, "Painted": _COLOUR, "Original": _COLOUR,
}  # fmt: skip

_FROM_THE_FRONT: Final = {"Uncovered": 1.0, "Let Through": 0.0}
"""Shares of a pixel: not covered by the layers in front, and let through by them as they are not opaque."""

_BOTTOM: Final = "Bottom"


def add_layer_group(
    tree: Tree, name: str, pictures: Sequence[Socket], atlases: Sequence[bpy.types.Image], front: Node | None
) -> Node:
    """Add a layer's node with a group of its own; outputs are *Change*, *Layer* and those for the layer behind.

    Args:
        tree: that gets the node.
        name: of the group.
        pictures: sockets of plate, UV pass, alpha, residual, painted atlas, original atlas.
        atlases: images of the painted and the original atlas.
        front: node of the layer in front, if there is one.
    """
    node = tree.nodes.new("CompositorNodeGroup")
    # Copying a group takes a tenth of the time of building one.
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
    """Mark a layer as the bottom one, which is behind every pixel, even if layers in front hide it completely."""
    node.inputs[_BOTTOM].default_value = 1.0


def fit_atlases(node: Node, atlas: bpy.types.Image, original: bpy.types.Image) -> None:
    """Fit a layer's node to its current atlases: their sizes, and whether the painted one is transparent."""
    for name, image in ((_PAINTED, atlas), (_ORIGINAL, original)):
        if look_up := node.node_tree.nodes.get(name):  # if the user has left it there
            _fit(look_up, image)
    node.inputs[_OPAQUE].default_value = float(atlas.alpha_mode != "STRAIGHT")


def _fit(look_up: Node, image: bpy.types.Image) -> None:
    """Fit a look-up to its current atlas, and arrange the group that 4.x needs for it."""
    nodes.fit_map_uv(look_up, image)
    if look_up.bl_idname == "CompositorNodeGroup":
        arrange(look_up.node_tree)


def _layer_group(atlas: bpy.types.Image, untouched: bpy.types.Image) -> Tree:
    tree = bpy.data.node_groups.new("NVD", "CompositorNodeTree")
    _declare(tree)
    inputs = {socket.name: socket for socket in tree.nodes.new("NodeGroupInput").outputs}
    plate, uv, alpha, residual, painted, original = (inputs[label] for label in _PICTURES)
    look_up = nodes.map_uv(tree, painted, atlas, uv)
    look_up.name = look_up.label = _PAINTED
    untouched_look_up = nodes.map_uv(tree, original, untouched, uv)
    untouched_look_up.name = untouched_look_up.label = _ORIGINAL
    original = untouched_look_up.outputs[0]
    painted = _laid_over(tree, look_up.outputs[0], original, inputs[_OPAQUE])
    opacity = nodes.math(tree, "MULTIPLY", inputs["Opacity"], inputs[SHOWN])
    light = nodes.mix(tree, "MIX", inputs["Light"], _WHITE, residual)
    light = nodes.mix(tree, "MULTIPLY", 1.0, light, inputs["Gain"])
    lit = nodes.mix(tree, "MULTIPLY", 1.0, light, painted)
    was = nodes.mix(tree, "MULTIPLY", 1.0, residual, original)

    touched = nodes.math(tree, "MULTIPLY", opacity, _changed(tree, painted, original))
    owned = nodes.math(tree, "DIVIDE", nodes.math(tree, "SUBTRACT", alpha, OWNED_FROM), 1 - OWNED_FROM, clamp=True)
    difference, mismatch = nodes.mix(tree, "SUBTRACT", 1.0, lit, was), nodes.mix(tree, "SUBTRACT", 1.0, was, plate)
    share = _known_at(tree, uv, alpha)
    added = nodes.mix(tree, "MULTIPLY", 1.0, difference, nodes.math(tree, "MULTIPLY", share, touched))
    replaced = nodes.mix(tree, "MULTIPLY", 1.0, mismatch, nodes.math(tree, "MULTIPLY", owned, touched))

    output = tree.nodes.new("NodeGroupOutput")
    seen = _see_through(tree, alpha, opacity, inputs, output)
    change = _finite(tree, nodes.mix(tree, "ADD", 1.0, added, replaced))
    tree.links.new(change, output.inputs["Change"])
    tree.links.new(nodes.mix(tree, "MULTIPLY", 1.0, lit, seen), output.inputs["Layer"])
    arrange(tree)
    return tree


def _declare(tree: Tree) -> None:
    """Declare the group's inputs and outputs."""
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
    """Composite a painted picture that may be transparent over the original; pass it on unchanged if it is opaque.

    As in :meth:`nvd_core.result.decomposition.Decomposition.painted`: an integer picture clips what is brighter than
    white, so that white there is not paint.
    """
    *colour, alpha = nodes.channels(tree, painted)
    left = nodes.math(tree, "SUBTRACT", 1.0, nodes.math(tree, "MAXIMUM", alpha, opaque))
    white = nodes.math(tree, "MULTIPLY", alpha, 0.9999)
    counts = nodes.math(tree, "MULTIPLY", alpha, nodes.math(tree, "SUBTRACT", 1.0, opaque))
    over = []
    for ours, theirs in zip(colour, nodes.channels(tree, original)[:3], strict=True):
        beyond = nodes.math(tree, "MAXIMUM", nodes.math(tree, "SUBTRACT", theirs, 1.0), 0.0)
        kept = nodes.math(tree, "MULTIPLY", nodes.math(tree, "GREATER_THAN", ours, white), beyond)
        laid = nodes.math(tree, "MULTIPLY_ADD", theirs, left, ours)
        over.append(nodes.math(tree, "MULTIPLY_ADD", kept, counts, laid))
    return nodes.colour(tree, *over)


def _changed(tree: Tree, painted: Socket, original: Socket) -> Socket:
    """Share of paint per pixel, as :func:`nvd_core.shot.compositing.changed`."""
    ours, theirs = nodes.channels(tree, painted), nodes.channels(tree, original)
    apart = brightest = None
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        distance = nodes.math(tree, "ABSOLUTE", nodes.math(tree, "SUBTRACT", one, other))
        brighter = nodes.math(tree, "MAXIMUM", one, other)
        apart = distance if apart is None else nodes.math(tree, "MAXIMUM", apart, distance)
        brightest = brighter if brightest is None else nodes.math(tree, "MAXIMUM", brightest, brighter)
    tolerance = nodes.math(tree, "MULTIPLY_ADD", brightest, TOLERANCE_RELATIVE, TOLERANCE_ABSOLUTE)
    return nodes.math(tree, "SUBTRACT", nodes.math(tree, "DIVIDE", apart, tolerance), 1.0, clamp=True)


def _known_at(tree: Tree, uv: Socket, alpha: Socket) -> Socket:
    """The alpha; no number where the UV pass is none, as 0 times NaN or Inf is NaN."""
    across, up = nodes.coordinates(tree, uv)
    return nodes.math(tree, "MULTIPLY_ADD", nodes.math(tree, "ADD", across, up), 0.0, alpha)


def _finite(tree: Tree, change: Socket) -> Socket:
    """A change, none where it is no number: the plate is kept under whatever a damaged file holds.

    ``0 * x + x`` is NaN for Inf, too. The larger of 0 and NaN is 0, as no comparison with NaN holds: the constant
    has to come first.
    """
    finite = []
    for one in nodes.channels(tree, change)[:3]:
        known = nodes.math(tree, "MULTIPLY_ADD", one, 0.0, one)
        halves = (nodes.math(tree, which, 0.0, known) for which in ("MAXIMUM", "MINIMUM"))
        finite.append(nodes.math(tree, "ADD", *halves))
    return nodes.colour(tree, *finite)


def _see_through(tree: Tree, alpha: Socket, opacity: Socket, inputs: dict[str, Socket], output: Node) -> Socket:
    """Visible alpha of the layer: one iteration of :func:`nvd_core.shot.compositing.see_through`, front to back."""
    uncovered, let_through = (inputs[label] for label in _FROM_THE_FRONT)
    left = nodes.math(tree, "MAXIMUM", uncovered, LEFT_AT_LEAST)
    coverage = nodes.math(tree, "MAXIMUM", inputs[_BOTTOM], nodes.math(tree, "DIVIDE", alpha, left, clamp=True))
    seen = nodes.math(tree, "MULTIPLY", opacity, nodes.math(tree, "MULTIPLY_ADD", coverage, let_through, alpha))
    hidden = nodes.math(tree, "SUBTRACT", alpha, seen)
    tree.links.new(nodes.math(tree, "SUBTRACT", uncovered, alpha), output.inputs["Uncovered"])
    tree.links.new(nodes.math(tree, "ADD", let_through, hidden), output.inputs["Let Through"])
    return seen
