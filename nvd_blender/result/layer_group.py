"""Build one layer's node group: the change of the plate by its paint, and the layer alone for rebuilding.

It computes the formulas of :mod:`nvd_core.shot.compositing`; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.conventions import HIDDEN_BELOW, LEFT_AT_LEAST, SEEN_FROM

from ..host import nodes
from ..host.nodes import Node, Socket, Tree
from .node_layout import arrange
from .surface_group import ORIGINAL, PAINTED, TOUCHED, owned


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

_WHITE: Final = (1.0, 1.0, 1.0, 1.0)
_NOTHING: Final = (0.0, 0.0, 0.0, 0.0)

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"

_PICTURES: Final = {"Plate": _COLOUR, "UV": _VECTOR, "Alpha": _NUMBER, "Residual": _COLOUR}
_SURFACE: Final = {PAINTED: _COLOUR, ORIGINAL: _COLOUR, TOUCHED: _NUMBER}

INSERTS: Final = "Inserts"
INSERTS_BEYOND: Final = "Inserts Beyond"
"""Inputs for composited inserts, premultiplied, of which there are none at first: all, and those beyond the outline."""

PAINT_BEYOND: Final = "Paint Beyond"
"""Input, 1 if paint on transparent parts of the atlas shows beyond the outline."""

_FROM_THE_FRONT: Final = {"Uncovered": 1.0, "Let Through": 0.0, "Free": 1.0}
"""Shares of a pixel: not covered by the layers in front; let through by them as they are not opaque; and left free by
what they show beyond their outlines."""

_BOTTOM: Final = "Bottom"

_EDITS_KEY: Final = "nvd_edits"
"""Custom property of the group: whether it computes other edits than paint."""

BEHIND: Final = "Behind"
"""Input for the layers behind as solved, by their shares of the pixel."""


def add_layer_group(tree: Tree, name: str, pictures: Sequence[Socket], surface: Node, front: Node | None) -> Node:
    """Add a layer's node with a group of its own; outputs are *Change*, *Layer* and those for the layer behind.

    Args:
        tree: that gets the node.
        name: of the group.
        pictures: sockets of plate, UV pass, alpha, residual.
        surface: node of the layer's surface.
        front: node of the layer in front, if there is one.
    """
    node = tree.nodes.new("CompositorNodeGroup")
    # Copying a group takes a tenth of the time of building one.
    node.node_tree = front.node_tree.copy() if front else _layer_group(has_edits=False)
    node.node_tree.name = name
    for control in (SHOWN, *(one.name for one in CONTROLS)):
        node.inputs[control].default_value = 1.0
    for label in (INSERTS, INSERTS_BEYOND, BEHIND):
        node.inputs[label].default_value = _NOTHING
    for label, value in _FROM_THE_FRONT.items():
        node.inputs[label].default_value = value
        if front:
            tree.links.new(front.outputs[label], node.inputs[label])
    for label, socket in zip(_PICTURES, pictures, strict=True):
        tree.links.new(socket, node.inputs[label])
    for label in _SURFACE:
        tree.links.new(surface.outputs[label], node.inputs[label])
    return node


def set_bottom(node: Node) -> None:
    """Mark a layer as the bottom one, which is behind every pixel, even if layers in front hide it completely."""
    node.inputs[_BOTTOM].default_value = 1.0


def take_edits(node: Node, *, has_edits: bool) -> None:
    """Let a layer's node take inserts and what shows beyond outlines, which a result without them need not compute."""
    if bool(node.node_tree.get(_EDITS_KEY)) != has_edits:
        former = node.node_tree
        node.node_tree = _layer_group(has_edits=has_edits)  # of the same sockets, so that links and values stay
        node.node_tree.name = former.name
        if not former.users:
            bpy.data.node_groups.remove(former)


def _layer_group(*, has_edits: bool) -> Tree:
    tree = bpy.data.node_groups.new("NVD", "CompositorNodeTree")
    tree[_EDITS_KEY] = has_edits
    _declare(tree)
    inputs = {socket.name: socket for socket in tree.nodes.new("NodeGroupInput").outputs}
    output = tree.nodes.new("NodeGroupOutput")
    opacity = nodes.math(tree, "MULTIPLY", inputs["Opacity"], inputs[SHOWN])
    light = nodes.mix(tree, "MIX", inputs["Light"], _WHITE, inputs["Residual"])
    light = nodes.mix(tree, "MULTIPLY", 1.0, light, inputs["Gain"])
    seen = _see_through(tree, inputs["Alpha"], opacity, inputs, output)
    change, layer, free = (_edited if has_edits else _painted)(tree, inputs, light, opacity, seen)
    for socket, label in ((_finite(tree, change), "Change"), (layer, "Layer"), (free, "Free")):
        tree.links.new(socket, output.inputs[label])
    arrange(tree)
    return tree


def _painted(
    tree: Tree, inputs: dict[str, Socket], light: Socket, opacity: Socket, seen: Socket
) -> tuple[Socket, Socket, Socket]:
    """Change of the plate by paint, layer alone, and what it leaves free, of a result without other edits."""
    was = nodes.mix(tree, "MULTIPLY", 1.0, inputs["Residual"], inputs[ORIGINAL])
    lit = nodes.mix(tree, "MULTIPLY", 1.0, light, inputs[PAINTED])
    touched = nodes.math(tree, "MULTIPLY", opacity, inputs[TOUCHED])
    difference, mismatch = (
        nodes.mix(tree, "SUBTRACT", 1.0, lit, was),
        nodes.mix(tree, "SUBTRACT", 1.0, was, inputs["Plate"]),
    )
    known = _known_at(tree, inputs["UV"], inputs["Alpha"])
    added = nodes.scaled(tree, difference, nodes.math(tree, "MULTIPLY", known, touched))
    replaced = nodes.scaled(tree, mismatch, nodes.math(tree, "MULTIPLY", owned(tree, inputs["Alpha"]), touched))
    return nodes.mix(tree, "ADD", 1.0, added, replaced), nodes.scaled(tree, lit, seen), inputs["Free"]


def _edited(
    tree: Tree, inputs: dict[str, Socket], light: Socket, opacity: Socket, seen: Socket
) -> tuple[Socket, Socket, Socket]:
    """As :func:`_painted`, with inserts, and beyond the outline: see :mod:`nvd_core.shot.compositing`."""
    plate, uv, alpha, residual = (inputs[label] for label in _PICTURES)
    painted, original, touched = (inputs[label] for label in _SURFACE)
    was = nodes.mix(tree, "MULTIPLY", 1.0, residual, original)
    inserts = _Over(inputs[INSERTS], nodes.channels(tree, inputs[INSERTS])[3])
    within = _faded(tree, _over(tree, inserts, _Over(nodes.scaled(tree, painted, touched), touched)), opacity)
    replaced = nodes.math(tree, "MULTIPLY", owned(tree, alpha), within.share)
    difference = nodes.mix(tree, "SUBTRACT", 1.0, *_lit(tree, light, within, was))
    added = nodes.scaled(tree, difference, _known_at(tree, uv, alpha))
    mismatch = nodes.mix(tree, "SUBTRACT", 1.0, was, plate)
    change = nodes.mix(tree, "ADD", 1.0, added, nodes.scaled(tree, mismatch, replaced))
    surface = nodes.mix(tree, "ADD", 1.0, nodes.scaled(tree, painted, _left(tree, inserts.share)), inserts.colour)
    layer = nodes.scaled(tree, nodes.mix(tree, "MULTIPLY", 1.0, light, surface), seen)

    behind_share = nodes.math(tree, "MAXIMUM", nodes.math(tree, "SUBTRACT", inputs["Uncovered"], alpha), 0.0)
    beyond = _Over(inputs[INSERTS_BEYOND], nodes.channels(tree, inputs[INSERTS_BEYOND])[3])
    touched = nodes.math(
        tree, "MULTIPLY", touched, nodes.math(tree, "MULTIPLY", inputs[PAINT_BEYOND], _inside(tree, uv))
    )
    seen_share = nodes.mean(tree, nodes.math(tree, "GREATER_THAN", alpha, HIDDEN_BELOW))
    is_seen = nodes.math(tree, "GREATER_THAN", seen_share, SEEN_FROM)
    beyond = _over(tree, beyond, _Over(nodes.scaled(tree, painted, touched), touched))
    beyond = _faded(tree, beyond, nodes.math(tree, "MULTIPLY", opacity, is_seen))
    lit, hidden = _lit(tree, light, beyond, inputs[BEHIND])
    lit = nodes.scaled(tree, lit, behind_share)
    reach = owned(tree, nodes.math(tree, "ADD", alpha, behind_share))
    reach = nodes.math(tree, "SUBTRACT", nodes.math(tree, "MULTIPLY", reach, beyond.share), replaced, clamp=True)
    solved = nodes.mix(tree, "ADD", 1.0, nodes.scaled(tree, was, alpha), inputs[BEHIND])
    mismatch = nodes.scaled(tree, nodes.mix(tree, "SUBTRACT", 1.0, solved, plate), reach)
    change_beyond = nodes.mix(tree, "ADD", 1.0, nodes.mix(tree, "SUBTRACT", 1.0, lit, hidden), mismatch)

    is_behind = nodes.math(tree, "GREATER_THAN", 1.0, inputs[_BOTTOM])
    change = nodes.mix(tree, "ADD", 1.0, change, nodes.scaled(tree, change_beyond, is_behind))
    layer = nodes.mix(tree, "ADD", 1.0, layer, nodes.scaled(tree, lit, is_behind))
    change, layer = (nodes.scaled(tree, one, inputs["Free"]) for one in (change, layer))
    known = nodes.math(tree, "MAXIMUM", 0.0, beyond.share)  # 0 where it is no number, so that others keep their paint
    return change, layer, nodes.math(tree, "MULTIPLY", inputs["Free"], _left(tree, known))


class _Over(NamedTuple):
    """As :class:`nvd_core.shot.compositing.Over`."""

    colour: Socket
    share: Socket


def _over(tree: Tree, above: _Over, below: _Over) -> _Over:
    left = _left(tree, above.share)
    colour = nodes.mix(tree, "ADD", 1.0, nodes.scaled(tree, below.colour, left), above.colour)
    return _Over(colour, nodes.math(tree, "MULTIPLY_ADD", below.share, left, above.share))


def _faded(tree: Tree, edit: _Over, opacity: Socket) -> _Over:
    return _Over(nodes.scaled(tree, edit.colour, opacity), nodes.math(tree, "MULTIPLY", edit.share, opacity))


def _left(tree: Tree, share: Socket) -> Socket:
    return nodes.math(tree, "SUBTRACT", 1.0, share)


def _lit(tree: Tree, light: Socket, edit: _Over, was: Socket) -> tuple[Socket, Socket]:
    """Edit in the layer's light, and what was there as far as the edit covers it."""
    return nodes.mix(tree, "MULTIPLY", 1.0, light, edit.colour), nodes.scaled(tree, was, edit.share)


def _inside(tree: Tree, uv: Socket) -> Socket:
    """1 where a UV pass lies on the atlas, else 0."""
    apart = [
        nodes.math(tree, "ABSOLUTE", nodes.math(tree, "SUBTRACT", one, 0.5)) for one in nodes.coordinates(tree, uv)
    ]
    return nodes.math(tree, "LESS_THAN", nodes.math(tree, "MAXIMUM", *apart), 0.5)


def _declare(tree: Tree) -> None:
    """Declare the group's inputs and outputs."""
    for label, kind in {**_PICTURES, **_SURFACE}.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=kind)
    shown = Control(SHOWN, 1.0, "Set by the layer's eye and solo buttons")
    bottom = Control(_BOTTOM, 1.0, "1 for the layer that is behind every pixel")
    beyond = Control(PAINT_BEYOND, 1.0, "1 if paint on transparent parts of the atlas shows beyond the outline")
    for control in (shown, bottom, beyond, *CONTROLS):
        socket = tree.interface.new_socket(control.name, in_out="INPUT", socket_type=_NUMBER)
        socket.default_value, socket.min_value = float(control not in {bottom, beyond}), 0.0
        socket.max_value, socket.description = control.most, control.text
    for label, value in _FROM_THE_FRONT.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=_NUMBER).default_value = value
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_NUMBER)
    for label in (INSERTS, INSERTS_BEYOND, BEHIND):
        tree.interface.new_socket(label, in_out="INPUT", socket_type=_COLOUR).default_value = _NOTHING
    for label in ("Change", "Layer"):
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_COLOUR)


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
    uncovered, let_through = inputs["Uncovered"], inputs["Let Through"]
    left = nodes.math(tree, "MAXIMUM", uncovered, LEFT_AT_LEAST)
    coverage = nodes.math(tree, "MAXIMUM", inputs[_BOTTOM], nodes.math(tree, "DIVIDE", alpha, left, clamp=True))
    seen = nodes.math(tree, "MULTIPLY", opacity, nodes.math(tree, "MULTIPLY_ADD", coverage, let_through, alpha))
    hidden = nodes.math(tree, "SUBTRACT", alpha, seen)
    tree.links.new(nodes.math(tree, "SUBTRACT", uncovered, alpha), output.inputs["Uncovered"])
    tree.links.new(nodes.math(tree, "ADD", let_through, hidden), output.inputs["Let Through"])
    return seen
