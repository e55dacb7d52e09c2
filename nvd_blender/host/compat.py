"""Differences between Blender versions, but for those of nodes that compute: see :mod:`.nodes`.

Every other module works in all supported versions alike, and calls this one where they differ. Statements about
versions were verified on 4.2, 4.5, 5.0 and 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import bpy

EXTENSION: Final = __package__.rpartition(".")[0]
"""Name by which Blender knows the extension."""

IS_5 = bpy.app.version >= (5, 0, 0)


# ---- compositor ---------------------------------------------------------------------------------


def empty_scene_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """Create or empty a scene's compositor tree."""
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


def scene_tree(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The compositor tree of a scene, if it has one."""
    return scene.compositing_node_group if IS_5 else scene.node_tree


def output_node(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """Add the node whose first input is the scene's rendered picture."""
    return tree.nodes.new("NodeGroupOutput" if IS_5 else "CompositorNodeComposite")


def use_exact_compositor(scene: bpy.types.Scene) -> None:
    """Composite in full precision on the CPU: 5.2 would use the GPU, whose filtering differs from card to card."""
    scene.render.compositor_device = "CPU"
    scene.render.compositor_precision = "FULL"


def mask_node(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """Add a node that rasterises a mask at the scene's size, with its feather."""
    node = tree.nodes.new("CompositorNodeMask")
    if "Feather" in node.inputs:
        node.inputs["Feather"].default_value = True
    else:
        node.use_feather = True
    return node


def followed_clips(mask: bpy.types.Mask) -> set[bpy.types.MovieClip]:
    """Movie clips whose tracks a mask's points are parented to: 4.2 does not write them along with the mask."""
    points = (point for layer in mask.layers for spline in layer.splines for point in spline.points)
    return {point.parent.id for point in points if point.parent.id}


@contextmanager
def evaluated(mask: bpy.types.Mask) -> Iterator[Callable[[int], tuple[float, ...]]]:
    """Evaluate a mask's points at frames, in a temporary scene, as no other scene may use the mask."""
    scene = bpy.data.scenes.new("Mask")
    tree = empty_scene_tree(scene)
    mask_node(tree).mask = mask

    def at(frame: int) -> tuple[float, ...]:
        scene.frame_set(frame)
        layers = mask.evaluated_get(scene.view_layers[0].depsgraph).layers
        points = (point for layer in layers for spline in layer.splines for point in spline.points)
        return tuple(value for one in points for value in (*one.co, *one.handle_left, *one.handle_right, one.weight))

    try:
        yield at
    finally:
        bpy.data.scenes.remove(scene)
        if IS_5:
            bpy.data.node_groups.remove(tree)


def save_copy(image: bpy.types.Image, path: Path) -> None:
    """Save a copy of an image to another file; the image keeps its own path, and its paint stays unsaved.

    4.2 has no such option: it marks the paint as saved, until a pixel is set again.

    Raises:
        RuntimeError: the file cannot be saved.
    """
    if "save_copy" in image.bl_rna.functions["save"].parameters:
        image.save(filepath=str(path), save_copy=True)
        return
    image.save(filepath=str(path))
    image.pixels[0] = image.pixels[0]


def show_nodes_alone(space: bpy.types.SpaceNodeEditor) -> None:
    """Close the regions that cover the nodes of a small editor: the sidebar, and the asset shelf of 5.x."""
    space.show_region_ui = False
    if hasattr(space, "show_region_asset_shelf"):
        space.show_region_asset_shelf = False


def brush(scene: bpy.types.Scene) -> Any:  # noqa: ANN401 (settings for all brushes, or a brush)
    """Owner of the image brush's colour, which 5.x keeps elsewhere if all brushes share it."""
    tools = scene.tool_settings
    shared = tools.image_paint.unified_paint_settings if IS_5 else tools.unified_paint_settings
    return shared if shared.use_unified_color or tools.image_paint.brush is None else tools.image_paint.brush


# ---- sequencer ----------------------------------------------------------------------------------


RELATIVE_PATH = {"options": {"PATH_SUPPORTS_BLEND_RELATIVE"}} if bpy.app.version >= (4, 5, 0) else {}
"""Options of a path property that accepts paths relative to the .blend."""

Strip = bpy.types.Strip if hasattr(bpy.types, "Strip") else bpy.types.Sequence


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """Scene whose strips the Sequencer shows; in 5.x it may differ from the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strips(owner: Any) -> Any:  # noqa: ANN401 (the collection's class differs)
    """Strips at the top level of a sequence editor, or directly in a meta strip."""
    return owner.strips if hasattr(owner, "strips") else owner.sequences


def strips_beside(scene: bpy.types.Scene, strip: Any) -> Any:  # noqa: ANN401
    """Strips at the same level as a strip: in its meta strip, or at the top level."""
    return strips(strip.parent_meta() or scene.sequence_editor)


def all_strips(scene: bpy.types.Scene) -> Any:  # noqa: ANN401
    """All strips of a scene, including those in meta strips."""
    editor = scene.sequence_editor
    return () if editor is None else editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def shown_strips(editor: bpy.types.SequenceEditor) -> Any:  # noqa: ANN401
    """Strips that the Sequencer shows: those in the entered meta strip, or at the top level."""
    return strips(editor.meta_stack[-1] if editor.meta_stack else editor)


def connected(strip: Any) -> Any:  # noqa: ANN401
    """Strips connected with a strip, which are selected together; none in versions without connections."""
    return getattr(strip, "connections", ())


def strip_start(strip: Any) -> int:  # noqa: ANN401
    """Timeline frame of a strip's left handle; for strips of any kind."""
    return int(strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start)


def search_strip(
    layout: bpy.types.UILayout, owner: bpy.types.bpy_struct, name: str, editor: bpy.types.SequenceEditor
) -> None:
    """Draw a search field for the name of a strip."""
    layout.prop_search(owner, name, editor, "strips_all" if hasattr(editor, "strips_all") else "sequences_all")


def strip_span(strip: Any) -> tuple[int, int, int]:  # noqa: ANN401
    """First source frame shown, from 0, number of frames, and the timeline frame of the first."""
    if hasattr(strip, "content_start"):
        start, left, right, trim = strip.content_start, strip.left_handle, strip.right_handle, strip.content_trim_start
    else:
        start, left, right = strip.frame_start, strip.frame_final_start, strip.frame_final_end
        trim = strip.animation_offset_start
    return int(left - start) + trim, int(right - left), int(left)


def trim(strip: Any, left: int, right: int) -> None:  # noqa: ANN401
    """Set a strip's handles: its first timeline frame, and the one after its last."""
    if hasattr(strip, "left_handle"):
        strip.right_handle, strip.left_handle = right, left
    else:
        strip.frame_final_end, strip.frame_final_start = right, left


def source_range(strip: Any) -> range:  # noqa: ANN401
    """Source frames of a strip within its hard trims, from 0; beyond them it holds a still frame."""
    if hasattr(strip, "content_trim_start"):
        return range(strip.content_trim_start, strip.content_trim_start + strip.content_duration)
    return range(strip.animation_offset_start, strip.animation_offset_start + strip.frame_duration)


TURNS_MOVIES = bpy.app.version >= (4, 5, 0)
"""Whether Blender rotates movies as their metadata say."""


def source_count(strip: Any) -> int:  # noqa: ANN401
    """Number of frames that a strip believes its footage to have."""
    if hasattr(strip, "content_trim_start"):
        return strip.content_trim_start + int(strip.content_duration) + strip.content_trim_end
    return strip.animation_offset_start + strip.frame_duration + strip.animation_offset_end


def is_at_own_rate(strip: Any) -> bool:  # noqa: ANN401
    """Whether a movie strip plays every frame once; after 4.2 a strip never counts more frames than it shows."""
    if bpy.app.version >= (4, 5, 0):
        return True
    shown = strip.frame_duration - strip.frame_offset_start - strip.frame_offset_end
    return abs(shown - strip.frame_final_duration) < 1


@contextmanager
def sequencer_of(scene: bpy.types.Scene) -> Iterator[None]:
    """Make operators of the Sequencer act on a scene's strips."""
    workspace = bpy.context.workspace
    shown = workspace.sequencer_scene if IS_5 else None
    try:
        if IS_5:
            workspace.sequencer_scene = scene
        with bpy.context.temp_override(scene=scene):
            yield
    finally:
        if IS_5:
            workspace.sequencer_scene = shown


def curves_of(owner: bpy.types.ID) -> Any:  # noqa: ANN401 (the collection's class differs)
    """F-curves of a scene or node tree; in 5.x they lie in the layers of its action."""
    data = owner.animation_data
    if data is None or data.action is None:
        return ()
    if hasattr(data.action, "fcurves"):
        return data.action.fcurves
    bags = (strip.channelbag(data.action_slot) for layer in data.action.layers for strip in layer.strips)
    return next((bag.fcurves for bag in bags if bag), ())


def set_image_format(settings: bpy.types.ImageFormatSettings, file_format: str) -> None:
    """Set the format of still pictures; 5.x needs the media type first."""
    if IS_5:
        settings.media_type = "IMAGE"
    settings.file_format = file_format


def set_movie_format(render: bpy.types.RenderSettings) -> None:
    """Set the format to H.264 in MP4, high quality."""
    if IS_5:
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor = "MPEG4", "H264", "HIGH"


@cache
def extension_folder() -> Path:
    """Folder that the extension may write to, created if needed; outside the extension system, a temporary folder."""
    try:
        return Path(bpy.utils.extension_path_user(EXTENSION, create=True))
    except ValueError:
        return Path(bpy.app.tempdir or ".")
