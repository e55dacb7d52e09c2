"""Find results in a .blend: scenes whose compositor re-composites a decomposition, and the nodes of their trees.

Nodes are found by name, so everything is stored in the .blend itself, and paths are those of images, which Blender
updates when the .blend is moved. The user may delete or rename any node, so every lookup may return nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import bpy

from ..host import compat
from ..host.nodes import Node
from ..source.footage import pattern_of

BUILT_KEY: Final = "nvd_built"
"""Custom property of a result's scene: a number that counts up, so that the newest result has the highest."""

NEWEST: Final = 2**31 - 1
"""Largest integer that a custom property holds."""

HAS_MASKS_KEY: Final = "nvd_has_masks"
"""Custom property of a layer's node: whether its masks were generated and lie in the result's folder."""

CLIP_KEY: Final = "nvd_clip"
"""Custom property of a result's scene: image of its clip, if the plate's node reads copies."""

QUALITY_KEY: Final = "nvd_quality"
"""Custom property of a result's scene: its quality, in words."""

PLATE_NODE: Final = "Plate"

PASSES_NODE: Final = "Passes of {}"

ATLAS_NODE: Final = "Atlas of {}"
"""Name of the node that holds a layer's atlas to paint."""

ORIGINAL_NODE: Final = "Original of {}"
"""Name of the node that holds a layer's atlas as solved."""

LAYER_NODE: Final = "Layer {}"
"""Name of the node whose group computes the layer."""

SURFACE_NODE: Final = "Surface {}"
"""Name of the node whose group looks up the layer's atlases."""

MODE_SWITCH: Final = "Rebuild from layers"
"""Name of the switch between keeping the plate (off) and rebuilding every pixel from the layers (on)."""

ONION: Final = "Plate over the result"
"""Name of the mix that overlays the plate in the viewer, to compare; renders do not contain it."""


def results() -> list[bpy.types.Scene]:
    """Scenes of all results, newest first."""
    return sorted(filter(built, bpy.data.scenes), key=lambda one: -built(one))


def built(scene: bpy.types.Scene) -> int:
    """Number of a result, higher for newer ones; 0 for other scenes, and for invalid values in a stranger's .blend."""
    number = scene.get(BUILT_KEY)
    return number if isinstance(number, int) and 0 < number <= NEWEST else 0


def result_scene(folder: Path) -> bpy.types.Scene | None:
    """Scene of a decomposition in this .blend, if there is one."""
    wanted = full(folder)
    return next((scene for scene in results() if not scene.library and folder_of(scene) == wanted), None)


def full(path: str | Path) -> Path:
    """Absolute path of a file or folder, by its name alone: panels call this, and a disk may sleep."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve() asks the disk)


def folder_of(scene: bpy.types.Scene) -> Path | None:
    """Decomposition folder of a result."""
    frame = next((path for node in _named(scene, PASSES_NODE).values() if (path := path_of(node.image))), None)
    return frame.parent.parent if frame else None


def plate_of(scene: bpy.types.Scene) -> Path | None:
    """File of a result's clip: the video, or the first picture of a sequence."""
    return path_of(_clip_in(scene))


def is_plate(scene: bpy.types.Scene, path: Path) -> bool:
    """Whether a file is the video, or a picture of the sequence, of a result's clip."""
    plate = plate_of(scene)
    if plate is None or path == plate:
        return plate is not None
    is_sequence = _clip_in(scene).source == "SEQUENCE"
    return is_sequence and pattern_of(path) == pattern_of(plate)


def path_of(image: bpy.types.Image | None) -> Path | None:
    """Absolute path of an image's file; None if it has none."""
    if image is None or not image.filepath:
        return None
    return full(bpy.path.abspath(image.filepath, library=image.library))


def atlas_nodes(scene: bpy.types.Scene) -> dict[str, Node]:
    """Nodes of the atlases to paint, by layer, front to back."""
    return {layer: node for layer, node in _named(scene, ATLAS_NODE).items() if node.image}


def original_of(scene: bpy.types.Scene, layer: str) -> bpy.types.Image | None:
    """Image of a layer's atlas as solved."""
    return _image_in(scene, ORIGINAL_NODE.format(layer))


def surface_of(scene: bpy.types.Scene, layer: str) -> Node | None:
    """Node that looks up a layer's atlases; in scenes of early versions the layer's own did."""
    return node_of(scene, SURFACE_NODE.format(layer)) or node_of(scene, LAYER_NODE.format(layer))


def node_of(scene: bpy.types.Scene, name: str) -> Node | None:
    """Find a node of a result's tree by name."""
    tree = compat.scene_tree(scene)
    return tree.nodes.get(name) if tree else None


def _clip_in(scene: bpy.types.Scene) -> bpy.types.Image | None:
    """Image of a result's clip; the custom property may hold anything in a stranger's .blend."""
    clip = scene.get(CLIP_KEY)
    return clip if isinstance(clip, bpy.types.Image) else _image_in(scene, PLATE_NODE)


def _image_in(scene: bpy.types.Scene, name: str) -> bpy.types.Image | None:
    """Image of a node, if it is an image node: in a stranger's .blend any node may have the name."""
    return getattr(node_of(scene, name), "image", None)


def _named(scene: bpy.types.Scene, pattern: str) -> dict[str, Node]:
    """Image nodes whose names begin with a pattern's prefix, by the rest of their names."""
    tree, prefix = compat.scene_tree(scene), pattern.format("")
    nodes = (node for node in (tree.nodes if tree else ()) if node.name.startswith(prefix) and hasattr(node, "image"))
    return {node.name.removeprefix(prefix): node for node in nodes}
