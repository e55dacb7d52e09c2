"""Atlases on disk: what another program has saved is read again, unless there is paint here that it would undo."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.errors import InputError

from .compositor import load_atlas
from .labels import redraw
from .layer_group import fit_atlases
from .layers import group_of
from .results import atlas_nodes, folder_of, is_plate, original_of, path_of, results

_LOOK_S: Final = 1.0


class _Look(NamedTuple):
    """An atlas when it was last looked at.

    Attributes:
        shown_ns: when the file that is shown here was written, nanoseconds since 1970.
        written_ns: when the file that is there was written.
        had_paint: whether it held unsaved paint here.
    """

    shown_ns: int
    written_ns: int
    had_paint: bool


_looks: dict[Path, _Look] = {}

_newer: set[Path] = set()
"""Those that another program has saved while they held unsaved paint here."""


def is_newer_on_disk(image: bpy.types.Image) -> bool:
    """Whether another program has saved an atlas that holds unsaved paint here; the artist has to choose."""
    return image.is_dirty and path_of(image) in _newer


def reload(scene: bpy.types.Scene, layer: str) -> None:
    """Read a layer's atlas from its file; unsaved paint is gone."""
    node = atlas_nodes(scene)[layer]
    node.image.reload()
    _newer.discard(path_of(node.image))
    _show(scene, layer)


def exchange(scene: bpy.types.Scene, layer: str, path: Path) -> None:
    """Use another file as a layer's atlas, of any size; the one before stays as it is on disk.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    before = set(bpy.data.images)
    if _must_stay(Path(os.path.abspath(path))):  # noqa: PTH100 (as in path_of)
        raise InputError("That picture belongs to a result and must stay as it is", where=path, hint="Choose a copy.")
    image = load_atlas(path)
    if not all(image.size):
        if image not in before:
            bpy.data.images.remove(image)
        raise InputError("Blender cannot read the picture", where=path, hint="Choose another one.")
    atlas_nodes(scene)[layer].image = image
    _show(scene, layer)


def _must_stay(path: Path) -> bool:
    """Whether a file is an original, a plate or a frame of a result."""
    for scene in results():
        folder = folder_of(scene)
        originals = [path_of(original_of(scene, layer)) for layer in atlas_nodes(scene)]
        if path in originals or is_plate(scene, path) or (folder and path.parent == folder / "frames"):
            return True
    return False


def revert(scene: bpy.types.Scene, layer: str) -> None:
    """Give a layer's atlas the pixels it was solved with. Its file changes when the artist saves, not before.

    Where another file is used as the atlas, the result's own is used again instead; the other stays as it is.
    """
    node, original = atlas_nodes(scene)[layer], original_of(scene, layer)
    own = path_of(original).with_name(path_of(original).name.replace(".orig.", "."))
    if path_of(node.image) != own and own.is_file():
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
    if not bpy.app.background:
        bpy.app.timers.register(look, first_interval=_LOOK_S, persistent=True)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    if bpy.app.timers.is_registered(look):
        bpy.app.timers.unregister(look)
    _looks.clear()
    _newer.clear()


def look() -> float:
    """See whether atlases were saved by another program, and read them again."""
    for scene in results():
        for layer, node in atlas_nodes(scene).items():
            if not node.image.is_dirty:
                _newer.discard(path_of(node.image))
            if _was_saved_elsewhere(node.image):
                if node.image.is_dirty:
                    _newer.add(path_of(node.image))
                    redraw("IMAGE_EDITOR")
                else:
                    reload(scene, layer)
    return _LOOK_S


def _was_saved_elsewhere(image: bpy.types.Image) -> bool:
    """Whether the file is another than the one shown here, and whole: no longer being written."""
    path = path_of(image)
    try:
        written_ns = path.stat().st_mtime_ns
    except (AttributeError, OSError):
        return False  # packed, gone, or just being replaced
    before = _looks.get(path, _Look(written_ns, written_ns, had_paint=False))
    saved_here = before.had_paint and not image.is_dirty
    is_whole = written_ns == before.written_ns
    shown_ns = written_ns if saved_here or is_whole else before.shown_ns
    _looks[path] = _Look(shown_ns, written_ns, image.is_dirty)
    return is_whole and written_ns != before.shown_ns


def _show(scene: bpy.types.Scene, layer: str) -> None:
    """Let everything that shows a layer's atlas know that it is another."""
    image, original = atlas_nodes(scene)[layer].image, original_of(scene, layer)
    if original and (group := group_of(scene, layer)):
        fit_atlases(group, image, original)
    image.update_tag()
    redraw("IMAGE_EDITOR")
