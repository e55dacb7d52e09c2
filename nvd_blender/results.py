"""Results in a .blend: scenes whose compositor puts a decomposition together, and what is found in their trees.

Everything is found by the names of nodes, so it goes with the .blend, and paths are those of the images, which
Blender keeps right when files move. What the user has deleted is not found, which every reader must bear.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import bpy

from . import compat
from .compat import Node
from .footage import pattern_of

BUILT_KEY: Final = "nvd_built"
"""Custom property of a result's scene: counts up, so that the newest is known."""

HAS_MASKS_KEY: Final = "nvd_has_masks"
"""Custom property of a layer's node: whether its masks were carried or found, and lie with the result."""

PLATE_NODE: Final = "Plate"

PASSES_NODE: Final = "Passes of {}"

ATLAS_NODE: Final = "Atlas of {}"
"""Name of the node that holds a layer's atlas to paint."""

ORIGINAL_NODE: Final = "Original of {}"
"""Name of the node that holds it as it was solved."""

LAYER_NODE: Final = "Layer {}"
"""Name of the node whose group computes the layer."""

MODE_SWITCH: Final = "Rebuild from layers"
"""Name of the switch between keeping the plate (off) and rebuilding every pixel from the layers (on)."""

ONION: Final = "Plate over the result"
"""Name of the mix that lays the plate over what the viewer shows, to compare; what is rendered stays as it is."""


def results() -> list[bpy.types.Scene]:
    """The scenes of all decompositions, the one that was built last first."""
    return sorted((one for one in bpy.data.scenes if BUILT_KEY in one), key=lambda one: -one[BUILT_KEY])


def result_scene(folder: Path) -> bpy.types.Scene | None:
    """The scene of a decomposition, if it was built."""
    wanted = Path(os.path.abspath(folder))  # noqa: PTH100 (asks no disk, which may sleep: panels call this)
    return next((scene for scene in results() if not scene.library and folder_of(scene) == wanted), None)


def folder_of(scene: bpy.types.Scene) -> Path | None:
    """The decomposition that a result shows."""
    frame = next((path for node in _named(scene, PASSES_NODE).values() if (path := path_of(node.image))), None)
    return frame.parents[1] if frame else None


def plate_of(scene: bpy.types.Scene) -> Path | None:
    """The video, or first picture, that a result is laid over."""
    node = node_of(scene, PLATE_NODE)
    return path_of(node.image) if node else None


def is_plate(scene: bpy.types.Scene, path: Path) -> bool:
    """Whether a file is the video, or a picture of the sequence, that a result is laid over."""
    plate = plate_of(scene)
    if plate is None or path == plate:
        return plate is not None
    is_sequence = node_of(scene, PLATE_NODE).image.source == "SEQUENCE"
    return is_sequence and pattern_of(path) == pattern_of(plate)


def path_of(image: bpy.types.Image | None) -> Path | None:
    """Where an image's file lies."""
    if image is None or not image.filepath:
        return None
    return Path(os.path.abspath(bpy.path.abspath(image.filepath, library=image.library)))  # noqa: PTH100 (as above)


def atlas_nodes(scene: bpy.types.Scene) -> dict[str, Node]:
    """The nodes that hold the atlases to paint, by layer, front to back."""
    return {layer: node for layer, node in _named(scene, ATLAS_NODE).items() if node.image}


def original_of(scene: bpy.types.Scene, layer: str) -> bpy.types.Image | None:
    """A layer's atlas as it was solved."""
    node = node_of(scene, ORIGINAL_NODE.format(layer))
    return node.image if node else None


def node_of(scene: bpy.types.Scene, name: str) -> Node | None:
    """A node of a result's tree."""
    tree = compat.scene_tree(scene)
    return tree.nodes.get(name) if tree else None


def set_mode(scene: bpy.types.Scene, *, rebuild: bool) -> None:
    """Choose what a result's scene shows: the plate with the paint on it, or the layers alone."""
    owner, name = compat.switch_property(node_of(scene, MODE_SWITCH))
    setattr(owner, name, rebuild)


def _named(scene: bpy.types.Scene, pattern: str) -> dict[str, Node]:
    tree, prefix = compat.scene_tree(scene), pattern.format("")
    return {node.name.removeprefix(prefix): node for node in tree.nodes if node.name.startswith(prefix)} if tree else {}
