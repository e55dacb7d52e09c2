"""Builds the node tree of a result: plate, one group a layer, keep-plate or rebuild, a viewer and an output."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import bpy

from nvd_core.errors import InputError
from nvd_core.folder import Manifest, Source, inside, masks_path, read_manifest

from . import compat
from .compat import Node, Socket, Tree
from .layer_group import add_layer_group, fit_atlases, set_bottom
from .results import (
    ATLAS_NODE,
    BUILT_KEY,
    HAS_MASKS_KEY,
    LAYER_NODE,
    MODE_SWITCH,
    ONION,
    ORIGINAL_NODE,
    PASSES_NODE,
    PLATE_NODE,
    atlas_nodes,
    is_plate,
    node_of,
    path_of,
    result_scene,
    results,
)

OURS_KEY: Final = "nvd"
"""Custom property of the images that were loaded for a result."""


def load_result(folder: Path) -> bpy.types.Scene:
    """Build the scene of a finished decomposition, or bring the one that is there up to date.

    Raises:
        InputError: the folder is none, or something of it or its plate is gone or damaged.
    """
    return build_scene(folder, read_manifest(folder))


def build_scene(folder: Path, manifest: Manifest) -> bpy.types.Scene:
    """The scene that re-composites a decomposition.

    Scene frames are plate frames. The user's own scenes and their settings are not touched. Where the result's scene
    is there already, with this clip and these layers, what the user has made of its nodes stays as it is.

    Raises:
        InputError: something of it is gone or damaged.
    """
    _check_files(folder, manifest)
    known = result_scene(folder)
    scene = known or bpy.data.scenes.new(f"NVD {manifest.name}")
    if known and _is_built(scene, manifest):
        _refresh(scene, folder, manifest)
    else:
        try:
            _build_tree(compat.empty_scene_tree(scene), folder, manifest)
        except (TypeError, KeyError) as error:  # a layer or a pass that the file should have
            if not known:
                bpy.data.scenes.remove(scene)
            raise InputError("The result is damaged", where=folder, hint="Decompose the clip again.") from error
        _set_up(scene)
    source = manifest.source
    for layer in manifest.layers:
        lying_there = {"name": layer, "path": (masks_path(Path()) / layer).as_posix()}
        has_masks = lying_there in manifest.masks or lying_there | {"locked": True} in manifest.masks
        node_of(scene, LAYER_NODE.format(layer))[HAS_MASKS_KEY] = has_masks
    scene[BUILT_KEY] = 1 + max((one.get(BUILT_KEY, 0) for one in results()), default=0)
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.fps = max(1, round(source.fps))
    scene.render.fps_base = scene.render.fps / source.fps
    scene.frame_start, scene.frame_end = source.first, source.last
    return scene


def _set_up(scene: bpy.types.Scene) -> None:
    """Settings under which the plate passes as it is."""
    scene.render.resolution_percentage = 100
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0.0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    compat.set_image_format(scene.render.image_settings, "PNG")
    compat.use_exact_compositor(scene)


def _check_files(folder: Path, manifest: Manifest) -> None:
    atlases = [*manifest.atlas_files.values(), *manifest.original_files.values()]
    frame = manifest.frame_path(folder, manifest.source.first)
    for path in (*(inside(folder, atlas) for atlas in atlases), frame, manifest.channels_path(folder)):
        if not path.is_file():
            raise InputError("The decomposition lacks a file", where=path, hint="Copy all of its folder.")
    plate = Path(manifest.source.file)
    if not plate.is_file():
        raise InputError("The clip of the decomposition is not there", where=plate, hint="Copy it to that place.")


def _is_built(scene: bpy.types.Scene, manifest: Manifest) -> bool:
    """Whether a scene has the nodes of all these layers and of no others, over this clip."""
    if not is_plate(scene, Path(manifest.source.file)):
        return False
    nodes = (PASSES_NODE, ATLAS_NODE, ORIGINAL_NODE, LAYER_NODE)
    has_all = all(node_of(scene, node.format(layer)) for layer in manifest.layers for node in nodes)
    return has_all and len(atlas_nodes(scene)) == len(manifest.layers)


def _refresh(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> None:
    """Show what was decomposed anew through the nodes that are there."""
    first = manifest.frame_path(folder, manifest.source.first)
    _set_frames(plate := node_of(scene, PLATE_NODE), manifest.source)
    _play(plate.image, manifest.source)
    for layer in manifest.layers:
        frames, atlas = node_of(scene, PASSES_NODE.format(layer)), node_of(scene, ATLAS_NODE.format(layer))
        original = node_of(scene, ORIGINAL_NODE.format(layer))
        frames.image.filepath_raw = _as_named(first)  # not another image, which would unlink the node
        frames.image.buffers_free()
        _play(frames.image, manifest.source)
        _set_frames(frames, manifest.source)
        original.image = load_atlas(inside(folder, manifest.original_files[layer]))
        in_use, own = path_of(atlas.image), re.compile(rf"{re.escape(layer)}(\.\d+)?\.exr")
        if in_use.parent == path_of(original.image).parent and own.fullmatch(in_use.name):  # else it is the user's
            atlas.image = load_atlas(inside(folder, manifest.atlas_files[layer]))
        fit_atlases(node_of(scene, LAYER_NODE.format(layer)), atlas.image, original.image)


def load_atlas(path: Path) -> bpy.types.Image:
    """An atlas as the tree wants it: ours, or a picture from elsewhere, which may be transparent.

    Raises:
        InputError: it is not there.
    """
    image = load_picture(path, "Linear Rec.709" if path.suffix.lower() == ".exr" else None)
    if path.suffix.lower() != ".exr" and image.alpha_mode != "STRAIGHT":
        image.alpha_mode = "STRAIGHT"
    return image


def _build_tree(tree: Tree, folder: Path, manifest: Manifest) -> None:
    plate = _plate_node(tree, manifest.source)
    passes = load_picture(manifest.frame_path(folder, manifest.source.first), "Non-Color")
    layers: list[Node] = []
    with _instead(passes, str(manifest.channels_path(folder))):
        for name in manifest.layers:
            front = layers[-1] if layers else None
            layers.append(_layer(tree, folder, manifest, name, passes, plate.outputs[0], front))
    set_bottom(layers[-1])
    kept, rebuilt = plate.outputs[0], layers[0].outputs["Layer"]
    for layer in layers:
        kept = compat.mix(tree, "ADD", 1.0, kept, layer.outputs["Change"])
    for layer in layers[1:]:
        rebuilt = compat.mix(tree, "ADD", 1.0, rebuilt, layer.outputs["Layer"])
    chosen = compat.switch(tree, MODE_SWITCH, kept, rebuilt).outputs[0]
    tree.links.new(chosen, compat.output_node(tree).inputs[0])
    onion = compat.mix(tree, "MIX", 0.0, chosen, plate.outputs[0])
    onion.node.name = onion.node.label = ONION
    viewer = tree.nodes.new("CompositorNodeViewer")
    tree.links.new(onion, viewer.inputs[0])
    tree.nodes.active = viewer  # 4.x shows no other
    compat.arrange(tree)


def _layer(
    tree: Tree,
    folder: Path,
    manifest: Manifest,
    name: str,
    passes: bpy.types.Image,
    plate: Socket,
    front: Node | None,
) -> Node:
    """The nodes of one layer: its passes, its atlas twice, and its group."""
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
    pictures = [
        plate,
        *(frames.outputs[one] for one in ("uv", "alpha", "residual")),
        *(one.outputs[0] for one in atlases),
    ]
    images = [one.image for one in atlases]
    node = add_layer_group(tree, f"NVD {manifest.name} {name}", pictures, images, front)
    node.name, node.label = LAYER_NODE.format(name), name
    return node


def _plate_node(tree: Tree, source: Source) -> Node:
    image = load_picture(Path(source.file), None)
    _take_as_in_file(image, source)
    with _instead(image, ""):
        node = _sequence_node(tree, image, source)
    node.name = node.label = PLATE_NODE
    return node


def _sequence_node(tree: Tree, image: bpy.types.Image, source: Source) -> Node:
    """An image node that shows file number N at scene frame N."""
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


def load_picture(path: Path, colorspace: str | None) -> bpy.types.Image:
    """An image datablock of a file, apart from the user's own; ours is read again, unless it holds unsaved paint.

    Raises:
        InputError: it is not there.
    """
    ours = {path_of(image): image for image in bpy.data.images if OURS_KEY in image and not image.library}
    image = ours.get(Path(os.path.abspath(path)))  # noqa: PTH100 (asks no disk)
    if image is None:
        if not path.is_file():
            raise InputError(
                "A picture of the result is not there", where=path, hint="Put it back, or decompose again."
            )
        image = bpy.data.images.load(str(path))
        image[OURS_KEY] = True
        image.filepath_raw = _as_named(path)
    elif not image.is_dirty:
        image.reload()
    if colorspace and image.colorspace_settings.name != colorspace:  # set to what it is, it would drop unsaved paint
        image.colorspace_settings.name = colorspace
    return image


def _as_named(path: Path) -> str:
    """A path relative to the .blend; one that was never saved gets relative paths when it is."""
    if bpy.data.filepath:
        with suppress(ValueError):  # on another drive
            return bpy.path.relpath(str(path))
    return str(path)


@contextmanager
def _instead(image: bpy.types.Image, path: str) -> Iterator[None]:
    """Have an image at another path while nodes are built from it, as its file would be read for each.

    One with unsaved paint stays as it is.
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
    """Colour as it is in the file, whatever its alpha and its tags say, and as it was decomposed."""
    image.alpha_mode = "CHANNEL_PACKED"
    image.colorspace_settings.name = "Linear Rec.709" if source.is_linear else "sRGB"
