"""The differences between Blender versions, all of them.

Every other module is written for all supported versions alike and asks here for what differs. What is
said of a version was measured on 4.2, 4.5, 5.0 and 5.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy

IS_5 = bpy.app.version >= (5, 0, 0)
_HAS_SHADER_MIX = bpy.app.version >= (4, 5, 0)

_MATH = "ShaderNodeMath" if IS_5 else "CompositorNodeMath"
_SEPARATE_XYZ = "ShaderNodeSeparateXYZ" if IS_5 else "CompositorNodeSeparateXYZ"
_COMBINE_XYZ = "ShaderNodeCombineXYZ" if IS_5 else "CompositorNodeCombineXYZ"

Tree = bpy.types.NodeTree
Node = bpy.types.Node
Socket = bpy.types.NodeSocket


# ---- compositor ---------------------------------------------------------------------------------


def empty_scene_tree(scene: bpy.types.Scene) -> Tree:
    """A scene's own compositor tree, without nodes."""
    if IS_5 and scene.compositing_node_group is None:
        scene.compositing_node_group = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        scene.compositing_node_group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    elif not IS_5:
        scene.use_nodes = True  # brings default nodes
    tree = scene_tree(scene)
    groups = {node.node_tree for node in tree.nodes if node.bl_idname == "CompositorNodeGroup" and node.node_tree}
    tree.nodes.clear()
    for group in groups:
        if not group.users:
            bpy.data.node_groups.remove(group)
    return tree


def scene_tree(scene: bpy.types.Scene) -> Tree | None:
    """The compositor tree of a scene, if it has one."""
    return scene.compositing_node_group if IS_5 else scene.node_tree


def output_node(tree: Tree) -> Node:
    """The node whose first input is the scene's picture."""
    return tree.nodes.new("NodeGroupOutput" if IS_5 else "CompositorNodeComposite")


def use_exact_compositor(scene: bpy.types.Scene) -> None:
    """Full precision on the CPU: 5.2 would use the GPU, whose filtering differs from card to card."""
    scene.render.compositor_device = "CPU"
    scene.render.compositor_precision = "FULL"


def math(tree: Tree, operation: str, *operands: Socket | float, clamp: bool = False) -> Socket:
    """A math node on sockets and numbers; its result."""
    node = tree.nodes.new(_MATH)
    node.operation, node.use_clamp = operation, clamp
    for socket, operand in zip(node.inputs, operands, strict=False):
        if isinstance(operand, bpy.types.NodeSocket):
            tree.links.new(operand, socket)
        else:
            socket.default_value = operand
    return node.outputs[0]


def mix(tree: Tree, blend: str, factor: Socket | float, first: Socket, second: Socket) -> Socket:
    """A colour mix, not clamped; its result has the alpha of the first colour."""
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
    if isinstance(factor, bpy.types.NodeSocket):
        tree.links.new(factor, fac)
    else:
        fac.default_value = factor
    tree.links.new(first, one)
    tree.links.new(second, two)
    return result


def channels(tree: Tree, colour: Socket) -> Sequence[Socket]:
    """Red, green, blue and alpha of a colour."""
    node = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(colour, node.inputs[0])
    return node.outputs


def switch(tree: Tree, name: str, off: Socket, on: Socket) -> Node:
    """A node that passes one of two pictures on; see :func:`set_switch`."""
    node = tree.nodes.new("CompositorNodeSwitch")
    node.name = node.label = name
    pictures = [socket for socket in node.inputs if socket.type == "RGBA"]
    tree.links.new(off, pictures[0])
    tree.links.new(on, pictures[1])
    return node


def set_switch(node: Node, *, on: bool) -> None:
    """Turn a switch node."""
    if "Switch" in node.inputs:
        node.inputs["Switch"].default_value = on
    else:
        node.check = on


def map_uv(tree: Tree, atlas: Socket, size: Sequence[int], uv: Socket) -> Socket:
    """An atlas looked up by a UV pass: exactly bilinear, the edge goes on.

    Args:
        tree: where the nodes go.
        atlas: its picture.
        size: its width and height.
        uv: STMap coordinates, Z = 1.
    """
    if IS_5:
        node = tree.nodes.new("CompositorNodeMapUV")
        node.inputs["Interpolation"].default_value = "Bilinear"
        node.inputs["Extension X"].default_value = node.inputs["Extension Y"].default_value = "Extend"
    else:
        node = tree.nodes.new("CompositorNodeGroup")
        node.node_tree = _bilinear_map_uv(*size)
    tree.links.new(atlas, node.inputs[0])
    tree.links.new(uv, node.inputs[1])
    return node.outputs[0]


def _bilinear_map_uv(width: int, height: int) -> Tree:
    """Four nearest look-ups and their mean: 4.x has no bilinear one (its anisotropic is off by a quarter)."""
    name = f"NVD Bilinear Map UV {width}x{height}"
    if name in bpy.data.node_groups:
        return bpy.data.node_groups[name]
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    tree.interface.new_socket("Image", in_out="INPUT", socket_type="NodeSocketColor")
    tree.interface.new_socket("UV", in_out="INPUT", socket_type="NodeSocketVector")
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    source, result = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    parts = tree.nodes.new(_SEPARATE_XYZ)
    tree.links.new(source.outputs["UV"], parts.inputs[0])
    taps, shares = [], []
    for coordinate, side in ((parts.outputs[0], width), (parts.outputs[1], height)):
        texel = math(tree, "MULTIPLY_ADD", coordinate, float(side), -0.5)
        first = math(tree, "FLOOR", texel)
        shares.append(math(tree, "SUBTRACT", texel, first))
        centres = [math(tree, "ADD", first, step) for step in (0.5, 1.5)]
        inside = [math(tree, "MAXIMUM", math(tree, "MINIMUM", centre, side - 0.5), 0.5) for centre in centres]
        taps.append([math(tree, "DIVIDE", centre, float(side)) for centre in inside])

    def look_up(x: Socket, y: Socket) -> Socket:
        at = tree.nodes.new(_COMBINE_XYZ)
        for socket, value in zip(at.inputs, (x, y), strict=False):
            tree.links.new(value, socket)
        at.inputs[2].default_value = 1.0  # Map UV multiplies with it
        node = tree.nodes.new("CompositorNodeMapUV")
        node.filter_type = "NEAREST"
        tree.links.new(source.outputs["Image"], node.inputs[0])
        tree.links.new(at.outputs[0], node.inputs[1])
        return node.outputs[0]

    rows = [mix(tree, "MIX", shares[0], look_up(taps[0][0], y), look_up(taps[0][1], y)) for y in taps[1]]
    tree.links.new(mix(tree, "MIX", shares[1], *rows), result.inputs[0])
    return tree


# ---- sequencer ----------------------------------------------------------------------------------


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose strips the Sequencer shows; 5.x keeps it apart from the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(editor: bpy.types.SequenceEditor) -> Any:  # noqa: ANN401 (the collection's class differs)
    """All strips at the top level of a sequence editor."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strip_span(strip: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """First source frame shown (from 0), number of frames, and where they begin on the timeline."""
    if hasattr(strip, "content_start"):
        start, left, right, trim = strip.content_start, strip.left_handle, strip.right_handle, strip.content_trim_start
    else:
        start, left, right = strip.frame_start, strip.frame_final_start, strip.frame_final_end
        trim = strip.animation_offset_start
    return int(left - start) + trim, int(right - left), int(left)


def source_range(strip: Any) -> range:  # noqa: ANN401
    """The source frames that hard trims leave to a strip, from 0; beyond them it stands still."""
    if hasattr(strip, "content_trim_start"):
        return range(strip.content_trim_start, strip.content_trim_start + strip.content_duration)
    return range(strip.animation_offset_start, strip.animation_offset_start + strip.frame_duration)


TURNS_MOVIES = bpy.app.version >= (4, 5, 0)
"""Whether a movie is shown turned as its metadata say."""


def source_count(strip: Any) -> int:  # noqa: ANN401
    """How many frames a strip believes its footage to have."""
    if hasattr(strip, "content_trim_start"):
        return strip.content_trim_start + int(strip.content_duration) + strip.content_trim_end
    return strip.animation_offset_start + strip.frame_duration + strip.animation_offset_end


def is_at_own_rate(strip: Any) -> bool:  # noqa: ANN401
    """Whether a movie strip shows frame after frame; later Blenders than 4.2 count no more frames than they show."""
    if bpy.app.version >= (4, 5, 0):
        return True
    shown = strip.frame_duration - strip.frame_offset_start - strip.frame_offset_end
    return abs(shown - strip.frame_final_duration) < 1


def set_image_format(settings: bpy.types.ImageFormatSettings, file_format: str) -> None:
    """Choose a still picture's format; 5.x wants to know first that it is one."""
    if IS_5:
        settings.media_type = "IMAGE"
    settings.file_format = file_format


def extension_folder(package: str) -> Path:
    """Where the extension may write; made if needed. Outside the extension system, a temporary folder."""
    try:
        return Path(bpy.utils.extension_path_user(package, create=True))
    except ValueError:
        return Path(bpy.app.tempdir or ".")
