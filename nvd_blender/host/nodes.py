"""Nodes that compute in Blender's compositor: each function adds one and links it; names and sockets differ by version.

Statements about versions were verified on 4.2, 4.5, 5.0 and 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from .compat import IS_5

_HAS_SHADER_MIX = bpy.app.version >= (4, 5, 0)
_MATH = "ShaderNodeMath" if _HAS_SHADER_MIX else "CompositorNodeMath"
_SEPARATE_XYZ = "ShaderNodeSeparateXYZ" if _HAS_SHADER_MIX else "CompositorNodeSeparateXYZ"
_SWITCH = "GeometryNodeSwitch" if bpy.app.version >= (5, 2, 0) else "CompositorNodeSwitch"
_COMBINE_XYZ = "ShaderNodeCombineXYZ" if _HAS_SHADER_MIX else "CompositorNodeCombineXYZ"

Tree = bpy.types.NodeTree
Node = bpy.types.Node
Socket = bpy.types.NodeSocket
Colour = tuple[float, float, float, float]


def math(tree: Tree, operation: str, *operands: Socket | float, clamp: bool = False) -> Socket:
    """Add a math node on sockets and numbers; return its result."""
    node = tree.nodes.new(_MATH)
    node.operation, node.use_clamp = operation, clamp
    for socket, operand in zip(node.inputs, operands, strict=False):
        _feed(tree, operand, socket)
    return node.outputs[0]


def mix(tree: Tree, blend: str, factor: Socket | float, first: Socket | Colour, second: Socket) -> Socket:
    """Add an unclamped colour mix; its result has the alpha of the first colour."""
    if _HAS_SHADER_MIX:
        node = tree.nodes.new("ShaderNodeMix")
        node.data_type = "RGBA"
        fac, (one, two) = node.inputs[0], [socket for socket in node.inputs if socket.enabled and socket.type == "RGBA"]
        result = next(socket for socket in node.outputs if socket.enabled)
    else:
        node = tree.nodes.new("CompositorNodeMixRGB")
        fac, one, two = node.inputs
        result = node.outputs[0]
    node.blend_type = blend
    for source, target in ((factor, fac), (first, one), (second, two)):
        _feed(tree, source, target)
    return result


def scaled(tree: Tree, picture: Socket, factor: Socket) -> Socket:
    """Multiply a colour by a number."""
    return mix(tree, "MULTIPLY", 1.0, picture, factor)


def over(tree: Tree, factor: Socket | float, below: Socket, above: Socket) -> Socket:
    """Lay a premultiplied colour, times a factor, over another, with alpha.

    One use of each: before it computes anything, 4.2 walks every path from the output to an input, and a stack of
    layers that are each used ten times has ten to the power of its height.
    """
    node = tree.nodes.new("CompositorNodeAlphaOver")
    colours = [socket for socket in node.inputs if socket.type == "RGBA"]
    fac = next(socket for socket in node.inputs if socket.identifier == "Fac")
    for source, target in zip((factor, below, above), (fac, *colours), strict=True):
        _feed(tree, source, target)
    return node.outputs[0]


def with_alpha(tree: Tree, colour: Socket, alpha: Socket) -> Socket:
    """Give a colour another alpha, and leave its red, green and blue."""
    node = tree.nodes.new("CompositorNodeSetAlpha")
    if "Type" in node.inputs:
        node.inputs["Type"].default_value = "Replace Alpha"
    else:
        node.mode = "REPLACE_ALPHA"
    tree.links.new(colour, node.inputs[0])
    tree.links.new(alpha, node.inputs[1])
    return node.outputs[0]


def _feed(tree: Tree, source: Socket | float | Colour, target: Socket) -> None:
    """Link a socket to another one, or set it to a constant."""
    if isinstance(source, bpy.types.NodeSocket):
        tree.links.new(source, target)
    else:
        target.default_value = source


def channels(tree: Tree, colour: Socket) -> Sequence[Socket]:
    """Separate a colour into red, green, blue and alpha."""
    node = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(colour, node.inputs[0])
    return node.outputs


def coordinates(tree: Tree, vector: Socket) -> Sequence[Socket]:
    """X and Y of a vector."""
    node = tree.nodes.new(_SEPARATE_XYZ)
    tree.links.new(vector, node.inputs[0])
    return node.outputs[:2]


def colour(tree: Tree, *rgba: Socket) -> Socket:
    """Combine red, green, blue and alpha into a colour; an opaque one without alpha."""
    node = tree.nodes.new("CompositorNodeCombineColor")
    for source, target in zip(rgba, node.inputs, strict=False):
        tree.links.new(source, target)
    return node.outputs[0]


def vector(tree: Tree, x: Socket, y: Socket, z: float) -> Socket:
    """Combine coordinates."""
    node = tree.nodes.new(_COMBINE_XYZ)
    for source, target in zip((x, y, z), node.inputs, strict=True):
        _feed(tree, source, target)
    return node.outputs[0]


def mean(tree: Tree, picture: Socket) -> Socket:
    """Mean of a grey picture over all of its pixels."""
    node = tree.nodes.new("CompositorNodeLevels")
    tree.links.new(picture, node.inputs[0])
    return node.outputs["Mean"]


def scene_frame(tree: Tree) -> Socket:
    """Number of the scene's current frame."""
    return tree.nodes.new("CompositorNodeSceneTime").outputs["Frame"]


def switch(tree: Tree, name: str, off: Socket, on: Socket) -> Node:
    """Add a switch between two pictures; see :func:`switch_property`."""
    node = tree.nodes.new(_SWITCH)
    if _SWITCH != "CompositorNodeSwitch":
        node.input_type = "RGBA"
    node.name = node.label = name
    pictures = [socket for socket in node.inputs if socket.type == "RGBA"]
    tree.links.new(off, pictures[0])
    tree.links.new(on, pictures[1])
    return node


def switch_property(node: Node) -> tuple[Any, str]:
    """Owner and name of the property that turns a switch node."""
    return (node.inputs["Switch"], "default_value") if "Switch" in node.inputs else (node, "check")


def map_uv(tree: Tree, atlas: Socket, image: bpy.types.Image, uv: Socket) -> Node:
    """Add a node that warps an atlas by a UV pass, exactly bilinear, with extended edges.

    Args:
        tree: that gets the node.
        atlas: socket of the atlas.
        image: of the atlas; see :func:`fit_map_uv`.
        uv: STMap coordinates, Z = 1.
    """
    if IS_5:
        node = tree.nodes.new("CompositorNodeMapUV")
        node.inputs["Interpolation"].default_value = "Bilinear"
        node.inputs["Extension X"].default_value = node.inputs["Extension Y"].default_value = "Extend"
    else:
        node = tree.nodes.new("CompositorNodeGroup")
        fit_map_uv(node, image)
    tree.links.new(atlas, node.inputs[0])
    tree.links.new(uv, node.inputs[1])
    return node


def fit_map_uv(node: Node, image: bpy.types.Image) -> None:
    """Fit a node of :func:`map_uv` to its current atlas: 4.x computes with its size, which reads the file."""
    if not IS_5:
        node.node_tree = _bilinear_map_uv(*image.size)


def _bilinear_map_uv(width: int, height: int) -> Tree:
    """Bilinear Map UV from four nearest samples: 4.x has no bilinear filter, and its anisotropic one is off by 1/4."""
    name = f"NVD Bilinear Map UV {width}x{height}"
    if name in bpy.data.node_groups:
        return bpy.data.node_groups[name]
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("UV", in_out="INPUT", socket_type="NodeSocketVector")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    source, result = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    taps, shares = [], []
    for coordinate, side in zip(coordinates(tree, source.outputs["UV"]), (width, height), strict=True):
        texel = math(tree, "MULTIPLY_ADD", coordinate, float(side), -0.5)
        first = math(tree, "FLOOR", texel)
        shares.append(math(tree, "SUBTRACT", texel, first))
        centres = [math(tree, "ADD", first, step) for step in (0.5, 1.5)]
        inside = [math(tree, "MAXIMUM", math(tree, "MINIMUM", centre, side - 0.5), 0.5) for centre in centres]
        taps.append([math(tree, "DIVIDE", centre, float(side)) for centre in inside])

    def look_up(x: Socket, y: Socket) -> Socket:
        node = tree.nodes.new("CompositorNodeMapUV")
        node.filter_type = "NEAREST"
        tree.links.new(source.outputs["Image"], node.inputs[0])
        tree.links.new(vector(tree, x, y, 1.0), node.inputs[1])  # Map UV multiplies with the last
        return node.outputs[0]

    four = [[look_up(x, y) for x in taps[0]] for y in taps[1]]
    colour = mix(tree, "MIX", shares[1], *(mix(tree, "MIX", shares[0], *pair) for pair in four))
    alphas = [_between(tree, shares[0], *(channels(tree, one)[3] for one in pair)) for pair in four]
    # A mix has the alpha of its first colour.
    tree.links.new(with_alpha(tree, colour, _between(tree, shares[1], *alphas)), result.inputs[0])
    return tree


def _between(tree: Tree, share: Socket, first: Socket, second: Socket) -> Socket:
    """Interpolate linearly between two numbers."""
    return math(tree, "MULTIPLY_ADD", share, math(tree, "SUBTRACT", second, first), first)
