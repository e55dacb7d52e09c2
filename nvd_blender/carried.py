"""The masks of a result that were carried or found: pictures, which are painted better and then stay so.

Whether a layer has such masks is kept with its node.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import bpy

from nvd_core.errors import InputError
from nvd_core.folder import masks_path, masks_record_path

from .compositor import OURS_KEY, load_picture
from .results import HAS_MASKS_KEY, LAYER_NODE, folder_of, node_of, path_of


def has_masks(scene: bpy.types.Scene, layer: str) -> bool:
    """Whether a layer's masks lie with the result, to be corrected."""
    node = node_of(scene, LAYER_NODE.format(layer))
    return bool(node and node.get(HAS_MASKS_KEY)) and folder_of(scene) is not None


def mask_of(scene: bpy.types.Scene, layer: str) -> bpy.types.Image:
    """A layer's mask of the scene's frame.

    Raises:
        InputError: there is none.
    """
    if not has_masks(scene, layer):
        raise InputError("The masks of this layer were given", where=layer, hint="Correct them where they come from.")
    path = _folder(scene, layer) / f"{layer}.{scene.frame_current:04d}.png"
    if not path.is_file():
        raise InputError("There is no mask of this frame", where=path, hint="Go to a frame of the shot.")
    return load_picture(path, "Non-Color")


def unsaved(scene: bpy.types.Scene, layer: str) -> list[bpy.types.Image]:
    """A layer's masks that were painted on, and not saved."""
    if not has_masks(scene, layer):
        return []
    folder = _folder(scene, layer)
    return [image for image, path in _painted() if path.parent == folder]


def save(images: Iterable[bpy.types.Image]) -> None:
    """Save masks to their files.

    Raises:
        InputError: one cannot be written.
    """
    for image in images:
        try:
            image.save()
        except RuntimeError as error:
            raise InputError(f"The mask cannot be saved: {error}", where=path_of(image)) from error


def save_all(folder: Path) -> None:
    """Save all masks of a result that were painted on: a job reads files alone.

    Raises:
        InputError: one cannot be written.
    """
    if masks_record_path(folder).is_file():  # else the result is gone, and its masks are nobody's
        own = masks_path(folder).resolve()
        save(image for image, path in _painted() if path.resolve().is_relative_to(own))


def _painted() -> list[tuple[bpy.types.Image, Path]]:
    """Pictures of results that were painted on and not saved, and where they lie."""
    painted = (image for image in bpy.data.images if OURS_KEY in image and image.is_dirty)
    return [(image, path) for image in painted if (path := path_of(image))]


def _folder(scene: bpy.types.Scene, layer: str) -> Path:
    return masks_path(folder_of(scene)) / layer
