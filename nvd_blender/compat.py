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
Colour = tuple[float, float, float, float]


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
        _feed(tree, operand, socket)
    return node.outputs[0]


def mix(tree: Tree, blend: str, factor: Socket | float, first: Socket | Colour, second: Socket) -> Socket:
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
    for source, target in ((factor, fac), (first, one), (second, two)):
        _feed(tree, source, target)
    return result


def _feed(tree: Tree, source: Socket | float | Colour, target: Socket) -> None:
    """Give a socket another one's value, or a constant."""
    if isinstance(source, bpy.types.NodeSocket):
        tree.links.new(source, target)
    else:
        target.default_value = source


def channels(tree: Tree, colour: Socket) -> Sequence[Socket]:
    """Red, green, blue and alpha of a colour."""
    node = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(colour, node.inputs[0])
    return node.outputs


def colour(tree: Tree, *rgb: Socket) -> Socket:
    """An opaque colour of these."""
    node = tree.nodes.new("CompositorNodeCombineColor")
    for source, target in zip(rgb, node.inputs, strict=False):
        tree.links.new(source, target)
    return node.outputs[0]


def switch(tree: Tree, name: str, off: Socket, on: Socket) -> Node:
    """A node that passes one of two pictures on; see :func:`switch_property`."""
    node = tree.nodes.new("CompositorNodeSwitch")
    node.name = node.label = name
    pictures = [socket for socket in node.inputs if socket.type == "RGBA"]
    tree.links.new(off, pictures[0])
    tree.links.new(on, pictures[1])
    return node


def switch_property(node: Node) -> tuple[Any, str]:
    """What turns a switch node: whose property, and its name."""
    return (node.inputs["Switch"], "default_value") if "Switch" in node.inputs else (node, "check")


def map_uv(tree: Tree, atlas: Socket, image: bpy.types.Image, uv: Socket) -> Node:
    """A node that looks an atlas up by a UV pass: exactly bilinear, the edge goes on.

    Args:
        tree: where the node goes.
        atlas: its picture.
        image: what the picture comes from; see :func:`fit_map_uv`.
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
    """Tell a node of :func:`map_uv` what its atlas is now: 4.x computes with its size, for which its file is read."""
    if not IS_5:
        node.node_tree = _bilinear_map_uv(*image.size)


def mask_node(tree: Tree) -> Node:
    """A node that draws a mask at the scene's size, feather and all."""
    node = tree.nodes.new("CompositorNodeMask")
    if "Feather" in node.inputs:
        node.inputs["Feather"].default_value = True
    else:
        node.use_feather = True
    return node


def followed_clips(mask: bpy.types.Mask) -> set[bpy.types.MovieClip]:
    """The movie clips whose tracks a mask follows: 4.2 does not write them along with it."""
    points = (point for layer in mask.layers for spline in layer.splines for point in spline.points)
    return {point.parent.id for point in points if point.parent.id}


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

    four = [[look_up(x, y) for x in taps[0]] for y in taps[1]]
    colour = mix(tree, "MIX", shares[1], *(mix(tree, "MIX", shares[0], *pair) for pair in four))
    alphas = [_between(tree, shares[0], *(channels(tree, one)[3] for one in pair)) for pair in four]
    node = tree.nodes.new("CompositorNodeSetAlpha")  # the mean of colours has the alpha of the first
    node.mode = "REPLACE_ALPHA"
    tree.links.new(colour, node.inputs[0])
    tree.links.new(_between(tree, shares[1], *alphas), node.inputs[1])
    tree.links.new(node.outputs[0], result.inputs[0])
    return tree


def _between(tree: Tree, share: Socket, first: Socket, second: Socket) -> Socket:
    """One number at 0, the other at 1."""
    return math(tree, "MULTIPLY_ADD", share, math(tree, "SUBTRACT", second, first), first)


def arrange(tree: Tree) -> None:
    """Lay nodes out from left to right by how many links they are from the start."""
    column: dict[str, int] = {node.name: 0 for node in tree.nodes}
    links = [(link.from_node.name, link.to_node.name) for link in tree.links]  # asking Blender takes long
    moved = True
    while moved:
        moved = False
        for begin, end in links:
            if column[end] <= column[begin]:
                column[end], moved = column[begin] + 1, True
    filled: dict[int, float] = {}
    for node in tree.nodes:
        place, node.select = column[node.name], False
        node.location = (280.0 * place, -filled.get(place, 0.0))
        filled[place] = filled.get(place, 0.0) + 420.0


def show_nodes_alone(space: bpy.types.SpaceNodeEditor) -> None:
    """Close what covers the nodes of a small editor; 5.x has a shelf of assets there."""
    space.show_region_ui = False
    if hasattr(space, "show_region_asset_shelf"):
        space.show_region_asset_shelf = False


# ---- sequencer ----------------------------------------------------------------------------------


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose strips the Sequencer shows; 5.x keeps it apart from the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(editor: bpy.types.SequenceEditor) -> Any:  # noqa: ANN401 (the collection's class differs)
    """All strips at the top level of a sequence editor."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def search_strip(
    layout: bpy.types.UILayout, owner: bpy.types.bpy_struct, name: str, editor: bpy.types.SequenceEditor
) -> None:
    """A field for the name of a strip."""
    layout.prop_search(owner, name, editor, "strips" if hasattr(editor, "strips") else "sequences")


def strip_span(strip: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """First source frame shown (from 0), number of frames, and where they begin on the timeline."""
    if hasattr(strip, "content_start"):
        start, left, right, trim = strip.content_start, strip.left_handle, strip.right_handle, strip.content_trim_start
    else:
        start, left, right = strip.frame_start, strip.frame_final_start, strip.frame_final_end
        trim = strip.animation_offset_start
    return int(left - start) + trim, int(right - left), int(left)


def trim(strip: Any, left: int, right: int) -> None:  # noqa: ANN401
    """Set the timeline frames at which a strip begins and has ended."""
    if hasattr(strip, "left_handle"):
        strip.right_handle, strip.left_handle = right, left
    else:
        strip.frame_final_end, strip.frame_final_start = right, left


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


def set_movie_format(render: bpy.types.RenderSettings) -> None:
    """Choose H.264 in MP4, of high quality."""
    if IS_5:
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "MPEG4", "H264", "HIGH"


def extension_folder(package: str) -> Path:
    """Where the extension may write; made if needed. Outside the extension system, a temporary folder."""
    try:
        return Path(bpy.utils.extension_path_user(package, create=True))
    except ValueError:
        return Path(bpy.app.tempdir or ".")
