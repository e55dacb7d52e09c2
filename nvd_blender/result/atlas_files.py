"""Reload atlases and masks that other programs have saved, unless they hold unsaved paint; exchange, revert atlases."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

from ..host import timers
from ..host.labels import redraw
from . import atlas_check, generated_masks, paint
from .pictures import load_atlas
from .scenes import atlas_nodes, folder_of, full, is_plate, original_of, path_of, results, surface_of
from .surface_group import fit_atlases

_LOOK_S: Final = 1.0


class Refusal(NamedTuple):
    """Why a file is not shown.

    Attributes:
        sentence: what is wrong.
        written_ns: when the file was written.
    """

    sentence: str
    written_ns: int


refused: dict[Path, Refusal] = {}
"""Files of atlases that another program has saved and that cannot be used."""


def reload(scene: bpy.types.Scene, layer: str) -> None:
    """Read a layer's atlas from its file; unsaved paint is gone.

    Raises:
        InputError: the file cannot be its atlas; the one that is shown stays.
    """
    image, original = atlas_nodes(scene)[layer].image, original_of(scene, layer)
    atlas_check.check(layer, path_of(image), Size(*original.size) if original else None)
    paint.read_again(image)
    refused.pop(path_of(image), None)
    _show(scene, layer)


def reload_mask(mask: bpy.types.Image) -> None:
    """Reload a mask from its file, discarding unsaved paint."""
    paint.read_again(mask)
    redraw("IMAGE_EDITOR")


def exchange(scene: bpy.types.Scene, layer: str, path: Path) -> str:
    """Use another file as a layer's atlas, larger or smaller; unsaved paint on the one before is saved, which is told.

    Raises:
        InputError: it is not there, cannot be read, or cannot be the layer's atlas.
    """
    if _must_stay(full(path)):
        raise InputError("That picture belongs to a result and must stay as it is", where=path, hint="Choose a copy.")
    original = original_of(scene, layer)
    atlas_check.check(layer, path, Size(*original.size) if original else None)
    image = load_atlas(path)
    said = paint.keep(atlas_nodes(scene)[layer].image)
    atlas_nodes(scene)[layer].image = image
    _show(scene, layer)
    return said


def _must_stay(path: Path) -> bool:
    """Whether a file is an original atlas, a plate or a frame of a result, which nobody may paint on."""
    for scene in results():
        folder = folder_of(scene)
        originals = [path_of(original_of(scene, layer)) for layer in atlas_nodes(scene)]
        if (
            path in originals
            or is_plate(scene, path)
            or (folder and path.parent in {folder / "frames", folder / "plate"})
        ):
            return True
    return False


def revert(scene: bpy.types.Scene, layer: str) -> None:
    """Reset a layer's atlas to its original pixels. Its file changes only when the artist saves.

    If another file is used as the atlas, the result's own file is used again, and the other stays unchanged.

    Raises:
        InputError: the original has no file, or paint on the other file cannot be saved.
    """
    node, original = atlas_nodes(scene)[layer], original_of(scene, layer)
    if path_of(original) is None:
        raise InputError(f"The original of {layer} was changed", hint="Load the result again.")
    own = path_of(original).with_name(path_of(original).name.replace(".orig.", "."))
    if path_of(node.image) != own and own.is_file():
        paint.keep(node.image)
        node.image = load_atlas(own)
    image = node.image
    if tuple(image.size) != tuple(original.size):
        image.scale(*original.size)
    pixels = array("f", bytes(4 * len(original.pixels)))
    original.pixels.foreach_get(pixels)
    image.pixels.foreach_set(pixels)
    _show(scene, layer)


def register() -> None:
    """See :mod:`nvd_blender`."""
    timers.begin(look, _LOOK_S)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    timers.end(look)
    paint.forget()
    refused.clear()


@timers.lasting(_LOOK_S)
def look() -> float:
    """Timer: reload atlases and masks that another program has saved."""
    for scene in results():
        for layer, node in atlas_nodes(scene).items():
            if _is_to_be_read(node.image):
                _reload_or_tell(scene, layer)
    for mask in filter(_is_to_be_read, generated_masks.in_use()):
        reload_mask(mask)
    return _LOOK_S


def _reload_or_tell(scene: bpy.types.Scene, layer: str) -> None:
    """Read a layer's atlas again; where it cannot be the layer's, that is shown beside the one that stays."""
    path = path_of(atlas_nodes(scene)[layer].image)
    written_ns = paint.written_ns(path)
    try:
        reload(scene, layer)
    except InputError as error:
        refused[path] = Refusal(str(error), written_ns)
        paint.newer.add(path)  # whatever is painted now must not be saved over it unasked
        redraw("IMAGE_EDITOR")


def _is_to_be_read(image: bpy.types.Image) -> bool:
    """Whether another program has saved a picture; noted, where there is paint on it."""
    path = path_of(image)
    if path in refused and paint.written_ns(path) != refused[path].written_ns:
        del refused[path]
    if not image.is_dirty and path not in refused:
        paint.newer.discard(path)
    if not paint.was_saved_elsewhere(image):
        return False
    if image.is_dirty:
        paint.newer.add(path)
        redraw("IMAGE_EDITOR")
    return not image.is_dirty


def _show(scene: bpy.types.Scene, layer: str) -> None:
    """Update nodes and editors after a layer's atlas has changed."""
    image, original = atlas_nodes(scene)[layer].image, original_of(scene, layer)
    if original and (node := surface_of(scene, layer)):
        fit_atlases(node, image, original)
    image.update_tag()
    redraw("IMAGE_EDITOR")
