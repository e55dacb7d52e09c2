"""Build the node tree of a result: plate, a group per layer, keep-plate or rebuild, viewer and output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.edits import read_edits
from nvd_core.spec.errors import InputError, NvdError, as_told
from nvd_core.spec.folder import masks_path
from nvd_core.spec.manifest import Manifest, Source, inside, read_manifest
from nvd_core.spec.versions import version_of

from ..host import compat, nodes
from ..host.nodes import Node, Socket, Tree
from . import edit_record, paint, quality
from .layer_group import BEHIND, add_layer_group, set_bottom
from .node_layout import arrange, frame
from .pictures import as_named, load_atlas, load_picture
from .scenes import (
    ATLAS_NODE,
    BUILT_KEY,
    CLIP_KEY,
    HAS_MASKS_KEY,
    LAYER_NODE,
    MODE_SWITCH,
    NEWEST,
    ONION,
    ORIGINAL_NODE,
    PASSES_NODE,
    PLATE_NODE,
    QUALITY_KEY,
    SURFACE_NODE,
    atlas_nodes,
    built,
    full,
    is_plate,
    node_of,
    path_of,
    result_scene,
    results,
    surface_of,
)
from .surface_group import SOLVED, add_surface_group, fit_atlases

_WIDE: Final = 240.0
"""Width of nodes, so that names of layers are readable."""


def load_result(folder: Path) -> bpy.types.Scene:
    """Build the scene of a finished decomposition, or update the existing one.

    Raises:
        InputError: the folder holds no finished decomposition, or a file of it or its plate is missing or damaged.
    """
    with _whole_or_not(folder):
        return build_scene(folder, read_manifest(folder))


def build_scene(folder: Path, manifest: Manifest) -> bpy.types.Scene:
    """Build or update the scene that re-composites a decomposition.

    Scene frames are plate frames. The user's own scenes and their settings are not touched. In an existing scene of
    this result, with this clip and these layers, the user's changes to nodes are kept.

    Raises:
        InputError: a file of the decomposition is missing or damaged, or inserts were changed here and elsewhere.
    """
    check_files(folder, manifest)
    source, known = manifest.source, result_scene(folder)
    scene = known or bpy.data.scenes.new(f"NVD {manifest.name} {version_of(folder)}".strip())
    if known:
        edit_record.write(known)
    # First the settings that Blender may refuse: an existing scene is not touched then.
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.fps = max(1, round(source.fps))
    scene.render.fps_base = scene.render.fps / source.fps
    scene.frame_start, scene.frame_end = source.first, source.last
    if known and _is_built(scene, folder, manifest):
        _refresh(scene, folder, manifest)
    else:
        for atlas in atlas_nodes(scene).values():
            paint.keep(atlas.image)  # its layer may no longer exist
        _build_tree(compat.empty_scene_tree(scene), folder, manifest)
        _set_up(scene)
    for layer in manifest.names:
        lying_there = {"name": layer, "path": (masks_path(Path()) / layer).as_posix()}
        has_masks = lying_there in manifest.masks or lying_there | {"locked": True} in manifest.masks
        node_of(scene, LAYER_NODE.format(layer))[HAS_MASKS_KEY] = has_masks
    edit_record.build(scene, folder, manifest)
    _note_clip(scene, manifest.source)
    scene[QUALITY_KEY] = quality.in_words(manifest)
    scene[BUILT_KEY] = min(NEWEST, 1 + max(map(built, results()), default=0))
    return scene


@contextmanager
def _whole_or_not(folder: Path) -> Iterator[None]:
    """Remove new data from Blender if building a scene fails half-way.

    Raises:
        InputError: in place of any error of Blender's.
    """
    kinds = (bpy.data.scenes, bpy.data.node_groups, bpy.data.images)  # users before the data that they use
    before = {one for kind in kinds for one in kind}
    try:
        yield
    except Exception as error:
        for kind in kinds:
            for one in set(kind) - before:
                if isinstance(one, bpy.types.Scene) or not one.users:
                    kind.remove(one)
        if isinstance(error, NvdError):
            raise
        said = str(as_told(error)) if isinstance(error, (OSError, MemoryError)) else f"{error}"
        raise InputError(
            f"The result cannot be loaded: {said.rstrip('.')}", where=folder, hint="Decompose the clip again."
        ) from error


def _set_up(scene: bpy.types.Scene) -> None:
    """Set a new scene's render settings so that the plate passes through unchanged."""
    scene.render.resolution_percentage = 100
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0.0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    compat.set_image_format(scene.render.image_settings, "PNG")
    compat.use_exact_compositor(scene)


def check_files(folder: Path, manifest: Manifest) -> None:
    """Refuse a decomposition that lacks a file that its scene shows in its first frame.

    Raises:
        InputError: one is not there, or the record of edits is damaged.
    """
    atlases = [*manifest.atlas_files.values(), *manifest.original_files.values()]
    first = manifest.source.first
    frames = [manifest.frame_path(folder, first), *[manifest.copy_path(folder, first)] * manifest.source.has_copies]
    inserts = [one for stack in read_edits(folder, manifest.names).values() for one in stack.inserts]
    pictures = [one.path(folder, one.start) for one in inserts]
    for path in (*(inside(folder, atlas) for atlas in atlases), *frames, manifest.channels_path(folder), *pictures):
        if not path.is_file():
            raise InputError("The decomposition lacks a file", where=path, hint="Copy all of its folder.")
    plate = Path(manifest.source.file)
    if not plate.is_file():
        raise InputError("The clip of the decomposition is not there", where=plate, hint="Copy it to that place.")


def _is_built(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> bool:
    """Whether a scene has the nodes of exactly these layers, over this clip."""
    shown = path_of(getattr(node_of(scene, PLATE_NODE), "image", None))
    if shown is None or shown.parent != _plate_path(folder, manifest).parent:
        return False  # one reads the clip itself, the other its copies
    if not is_plate(scene, Path(manifest.source.file)):
        return False
    named = (PASSES_NODE, ATLAS_NODE, ORIGINAL_NODE, LAYER_NODE)
    has_all = all(node_of(scene, name.format(layer)) for layer in manifest.names for name in named)
    return has_all and len(atlas_nodes(scene)) == len(manifest.names)


def _refresh(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> None:
    """Update existing nodes to a new decomposition of the same clip and layers."""
    first = manifest.frame_path(folder, manifest.source.first)
    _set_frames(plate := node_of(scene, PLATE_NODE), manifest.source)
    if manifest.source.has_copies:
        plate.image.filepath_raw = as_named(_plate_path(folder, manifest))  # the former range's file may be gone
        plate.image.buffers_free()
    _play(plate.image, manifest.source)
    for layer in manifest.names:
        frames, atlas = node_of(scene, PASSES_NODE.format(layer)), node_of(scene, ATLAS_NODE.format(layer))
        original = node_of(scene, ORIGINAL_NODE.format(layer))
        frames.image.filepath_raw = as_named(first)  # another image datablock would unlink the node's outputs
        frames.image.buffers_free()
        _play(frames.image, manifest.source)
        _set_frames(frames, manifest.source)
        original.image = load_atlas(inside(folder, manifest.original_files[layer]))
        in_use, own = path_of(atlas.image), re.compile(rf"{re.escape(layer)}(\.\d+)?\.exr")
        is_ours = in_use and in_use.parent == path_of(original.image).parent and own.fullmatch(in_use.name)
        if is_ours:  # else the user has put a picture of their own there, perhaps one without a file
            image = load_atlas(inside(folder, manifest.atlas_files[layer]))
            if image != atlas.image:
                paint.keep(atlas.image)
                atlas.image = image
        fit_atlases(surface_of(scene, layer), atlas.image, original.image)


def _build_tree(tree: Tree, folder: Path, manifest: Manifest) -> None:
    plate = _plate_node(tree, manifest.source, _plate_path(folder, manifest))
    passes = load_picture(manifest.frame_path(folder, manifest.source.first), "Non-Color")
    layers: list[Node] = []
    with _instead(passes, str(manifest.channels_path(folder))):
        for name in manifest.names:
            front = layers[-1] if layers else None
            layers.append(_layer(tree, folder, manifest, name, passes, plate.outputs[0], front))
            if name == manifest.background:
                set_bottom(layers[-1])
    behind: Socket | None = None
    for layer, name in zip(reversed(layers), reversed(manifest.names), strict=True):
        if behind:
            tree.links.new(behind, layer.inputs[BEHIND])
        solved = tree.nodes[SURFACE_NODE.format(name)].outputs[SOLVED]
        behind = nodes.mix(tree, "ADD", 1.0, behind, solved) if behind else solved
    kept, rebuilt = plate.outputs[0], layers[0].outputs["Layer"]
    for layer in layers:
        kept = nodes.mix(tree, "ADD", 1.0, kept, layer.outputs["Change"])
    for layer in layers[1:]:
        rebuilt = nodes.mix(tree, "ADD", 1.0, rebuilt, layer.outputs["Layer"])
    chosen = nodes.switch(tree, MODE_SWITCH, kept, rebuilt).outputs[0]
    tree.links.new(chosen, compat.output_node(tree).inputs[0])
    onion = nodes.mix(tree, "MIX", 0.0, chosen, plate.outputs[0])
    onion.node.name = onion.node.label = ONION
    viewer = tree.nodes.new("CompositorNodeViewer")
    tree.links.new(onion, viewer.inputs[0])
    tree.nodes.active = viewer  # 4.x shows no other
    arrange(tree)


def _layer(
    tree: Tree,
    folder: Path,
    manifest: Manifest,
    name: str,
    passes: bpy.types.Image,
    plate: Socket,
    front: Node | None,
) -> Node:
    """Add the nodes of one layer: its passes, its painted and its original atlas, and its group."""
    frames = _sequence_node(tree, passes, manifest.source)
    frames.layer = name
    frames.name = frames.label = PASSES_NODE.format(name)
    atlases = []
    for label, files in ((ATLAS_NODE, manifest.atlas_files), (ORIGINAL_NODE, manifest.original_files)):
        node, image = tree.nodes.new("CompositorNodeImage"), load_atlas(inside(folder, files[name]))
        with _instead(image, ""):
            node.image = image
        node.name = node.label = label.format(name)
        atlases.append(node)
    pictures = [plate, *(frames.outputs[one] for one in ("uv", "alpha", "residual"))]
    like = next((one for one in tree.nodes if one.name.startswith(SURFACE_NODE.format(""))), None)
    of, painted = [*pictures, *(one.outputs[0] for one in atlases)], [one.image for one in atlases]
    surface = add_surface_group(tree, f"NVD Surface {manifest.name} {name}", of, painted, like)
    surface.name, surface.label = SURFACE_NODE.format(name), f"Surface of {name}"
    node = add_layer_group(tree, f"NVD {manifest.name} {name}", pictures, surface, front)
    node.name, node.label = LAYER_NODE.format(name), name
    ours = [frames, *atlases, surface, node]
    for one in ours:
        one.width, one.show_preview = _WIDE, False  # previews are drawn above their nodes and would cover others
    for one in (frames, atlases[1]):
        one.show_options = False  # the user has nothing to set there
    frame(tree, name, ours)
    return node


def _plate_path(folder: Path, manifest: Manifest) -> Path:
    """File that the plate's node reads: of the clip, or of its copies."""
    source = manifest.source
    return full(manifest.copy_path(folder, source.first) if source.has_copies else source.file)


def _note_clip(scene: bpy.types.Scene, source: Source) -> None:
    """Store the clip's image in the scene if the plate's node reads copies."""
    scene.pop(CLIP_KEY, None)
    if source.has_copies:
        scene[CLIP_KEY] = clip = load_picture(Path(source.file), None)
        _play(clip, source)


def _plate_node(tree: Tree, source: Source, path: Path) -> Node:
    image = load_picture(path, None)
    _take_as_in_file(image, source)
    may_have_layers = path.suffix.lower() == ".exr"  # then the node's sockets depend on the file
    with nullcontext() if may_have_layers else _instead(image, ""):
        node = _sequence_node(tree, image, source)
    node.name = node.label = PLATE_NODE
    return node


def _sequence_node(tree: Tree, image: bpy.types.Image, source: Source) -> Node:
    """Add an image node that shows file number N at scene frame N."""
    _play(image, source)
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    _set_frames(node, source)
    node.use_auto_refresh = True
    return node


def _play(image: bpy.types.Image, source: Source) -> None:
    if image.source == "FILE" and len(source.numbers) > 1:
        image.source = "SEQUENCE"


def _set_frames(node: Node, source: Source) -> None:
    node.frame_duration = len(source.numbers)
    node.frame_start, node.frame_offset = source.first, source.first - 1


@contextmanager
def _instead(image: bpy.types.Image, path: str) -> Iterator[None]:
    """Point an image to another path while nodes are built from it: Blender would read its file for each node.

    An image with unsaved paint is left alone.
    """
    if image.is_dirty:
        yield
        return
    own = image.filepath
    image.filepath = path
    try:
        yield
    finally:
        image.filepath_raw = own
        image.buffers_free()


def _take_as_in_file(image: bpy.types.Image, source: Source) -> None:
    """Read colours as they were decomposed, whatever the file's alpha and its colour tags are."""
    image.alpha_mode = "CHANNEL_PACKED"
    image.colorspace_settings.name = "Linear Rec.709" if source.is_linear else "sRGB"
