"""Build the node group of a layer's surface: its atlas in a frame, painted and as solved, before any light.

It computes the formulas of :mod:`nvd_core.shot.compositing`; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import bpy

from nvd_core.spec.conventions import LEAST_LIGHT, OWNED_FROM, TOLERANCE_ABSOLUTE, TOLERANCE_RELATIVE

from ..host import nodes
from ..host.nodes import Node, Socket, Tree
from .node_layout import arrange

PAINTED: Final = "Painted"
ORIGINAL: Final = "Original"
TOUCHED: Final = "Touched"
"""Outputs: surface as painted and as solved, and how far paint changes it, 0 to 1."""

UNLIT: Final = "Unlit"
"""Output: what blend modes of inserts see below them."""

SOLVED: Final = "Solved"
"""Output: the layer alone as solved, in its light, by its share of the pixel."""

_OPAQUE: Final = "Opaque"
_PAINTED_LOOK_UP: Final = "Look-up of the painted atlas"
_ORIGINAL_LOOK_UP: Final = "Look-up of the original"

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"

_PICTURES: Final = {
    "Plate": _COLOUR, "UV": _VECTOR, "Alpha": _NUMBER, "Residual": _COLOUR, PAINTED: _COLOUR, ORIGINAL: _COLOUR,
}  # fmt: skip


def add_surface_group(
    tree: Tree, name: str, pictures: Sequence[Socket], atlases: Sequence[bpy.types.Image], like: Node | None
) -> Node:
    """Add the node of a layer's surface, with a group of its own.

    Args:
        tree: that gets the node.
        name: of the group.
        pictures: sockets of plate, UV pass, alpha, residual, painted atlas, original atlas.
        atlases: images of the painted and the original atlas.
        like: node of another layer's surface, if there is one.
    """
    node = tree.nodes.new("CompositorNodeGroup")
    # Copying a group takes a tenth of the time of building one.
    node.node_tree = like.node_tree.copy() if like else _surface_group(*atlases)
    node.node_tree.name = name
    fit_atlases(node, *atlases)
    for label, socket in zip(_PICTURES, pictures, strict=True):
        tree.links.new(socket, node.inputs[label])
    return node


def fit_atlases(node: Node, atlas: bpy.types.Image, original: bpy.types.Image) -> None:
    """Fit a node to its current atlases: their sizes, and whether the painted one is transparent."""
    for name, image in ((_PAINTED_LOOK_UP, atlas), (_ORIGINAL_LOOK_UP, original)):
        if look_up := node.node_tree.nodes.get(name):  # if the user has left it there
            _fit(look_up, image)
    if _OPAQUE in node.inputs:
        node.inputs[_OPAQUE].default_value = float(atlas.alpha_mode != "STRAIGHT")


def _fit(look_up: Node, image: bpy.types.Image) -> None:
    """Fit a look-up to its current atlas, and arrange the group that 4.x needs for it."""
    nodes.fit_map_uv(look_up, image)
    if look_up.bl_idname == "CompositorNodeGroup":
        arrange(look_up.node_tree)


def _surface_group(atlas: bpy.types.Image, untouched: bpy.types.Image) -> Tree:
    tree = bpy.data.node_groups.new("NVD Surface", "CompositorNodeTree")
    for label, kind in {**_PICTURES, _OPAQUE: _NUMBER}.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=kind)
    for label in (PAINTED, ORIGINAL, TOUCHED, UNLIT, SOLVED):
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_NUMBER if label == TOUCHED else _COLOUR)
    inputs = {socket.name: socket for socket in tree.nodes.new("NodeGroupInput").outputs}
    plate, uv, alpha, residual = (inputs[label] for label in ("Plate", "UV", "Alpha", "Residual"))
    look_up = nodes.map_uv(tree, inputs[PAINTED], atlas, uv)
    look_up.name = look_up.label = _PAINTED_LOOK_UP
    untouched_look_up = nodes.map_uv(tree, inputs[ORIGINAL], untouched, uv)
    untouched_look_up.name = untouched_look_up.label = _ORIGINAL_LOOK_UP
    original = untouched_look_up.outputs[0]
    painted = _laid_over(tree, look_up.outputs[0], original, inputs[_OPAQUE])
    touched = _changed(tree, painted, original)

    bright = nodes.mix(tree, "LIGHTEN", 1.0, (LEAST_LIGHT, LEAST_LIGHT, LEAST_LIGHT, 1.0), residual)
    is_inside = nodes.math(tree, "GREATER_THAN", alpha, 0.5)
    free = nodes.math(tree, "SUBTRACT", 1.0, nodes.math(tree, "MULTIPLY", touched, is_inside))
    sure = nodes.math(tree, "MAXIMUM", alpha, nodes.math(tree, "SUBTRACT", 1.0, alpha))
    free = nodes.math(tree, "MULTIPLY", owned(tree, sure), free)
    unlit = nodes.mix(tree, "MIX", free, painted, nodes.mix(tree, "DIVIDE", 1.0, plate, bright))
    solved = nodes.scaled(tree, nodes.mix(tree, "MULTIPLY", 1.0, residual, original), alpha)
    outputs = tree.nodes.new("NodeGroupOutput").inputs
    for label, socket in (
        (PAINTED, painted),
        (ORIGINAL, original),
        (TOUCHED, touched),
        (UNLIT, unlit),
        (SOLVED, solved),
    ):
        tree.links.new(socket, outputs[label])
    arrange(tree)
    return tree


def owned(tree: Tree, alpha: Socket) -> Socket:
    """Ownership of each pixel, as :func:`nvd_core.shot.compositing.owned`."""
    return nodes.math(tree, "DIVIDE", nodes.math(tree, "SUBTRACT", alpha, OWNED_FROM), 1 - OWNED_FROM, clamp=True)


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
