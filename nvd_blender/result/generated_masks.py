"""Generated masks of a result, propagated or segmented: pictures that the artist corrects, and that are then kept.

The node of a layer stores whether it has such masks.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import masks_path

from . import paint
from .compositor import load_picture
from .scenes import HAS_MASKS_KEY, LAYER_NODE, atlas_nodes, folder_of, node_of, path_of, results


def has_masks(scene: bpy.types.Scene, layer: str) -> bool:
    """Whether a layer's masks were generated and can be corrected in the result's folder."""
    node = node_of(scene, LAYER_NODE.format(layer))
    return bool(node and node.get(HAS_MASKS_KEY)) and folder_of(scene) is not None


def folder_of_masks(scene: bpy.types.Scene, layer: str) -> Path:
    """Folder of a layer's generated masks."""
    return masks_path(folder_of(scene)) / layer


def mask_of(scene: bpy.types.Scene, layer: str) -> bpy.types.Image:
    """Load a layer's mask of the current frame.

    Raises:
        InputError: the layer has no generated masks, or none of this frame.
    """
    if not has_masks(scene, layer):
        raise InputError("The masks of this layer were given", where=layer, hint="Correct them where they come from.")
    path = folder_of_masks(scene, layer) / f"{layer}.{scene.frame_current:04d}.png"
    if not path.is_file():
        raise InputError("There is no mask of this frame", where=path, hint="Go to a frame of the shot.")
    return load_picture(path, "Non-Color")


def unsaved(scene: bpy.types.Scene, layer: str) -> list[bpy.types.Image]:
    """A layer's masks with unsaved paint."""
    if not has_masks(scene, layer):
        return []
    folder = folder_of_masks(scene, layer)
    return [image for image, path in paint.unsaved() if path.parent == folder]


def in_use() -> list[bpy.types.Image]:
    """Masks of all results that are a paint canvas or hold unsaved paint. Others are read when they are shown."""
    folders = {
        folder_of_masks(scene, layer) for scene in results() for layer in atlas_nodes(scene) if has_masks(scene, layer)
    }
    canvases = {scene.tool_settings.image_paint.canvas for scene in bpy.data.scenes}
    images = (image for image in bpy.data.images if paint.OURS_KEY in image and (image.is_dirty or image in canvases))
    return [image for image in images if (path := path_of(image)) and path.parent in folders]
