"""Load a running job's previews as icons.

They are read when the worker announces them, which takes some 3 ms. Blender's own loader would wait until it draws
them, and would keep a copy in the user's thumbnail cache for good.
"""

from __future__ import annotations

from array import array

import bpy
import bpy.utils.previews

_collections: list[bpy.utils.previews.ImagePreviewCollection] = []
"""Holds one collection, created with the first preview."""


def show(job: str, layer: str, path: str) -> None:
    """Replace the job's preview of a layer, or of the whole frame if the layer is empty.

    A file that cannot be read is ignored.
    """
    try:
        image = bpy.data.images.load(path)
    except RuntimeError:
        return
    pixels = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(pixels)
    size = tuple(image.size)
    bpy.data.images.remove(image)
    if not all(size):
        return
    if not _collections:
        _collections.append(bpy.utils.previews.new())
    key = f"{job}/{layer}"
    if key in _collections[0]:
        del _collections[0][key]
    picture = _collections[0].new(key)
    picture.image_size = size
    picture.image_pixels_float.foreach_set(pixels)


def icons(job: str) -> list[int]:
    """Icons of a job's previews: the frame first, if there is one, then layers in order of arrival."""
    keys = [key for collection in _collections for key in collection if key.startswith(f"{job}/")]
    return [_collections[0][key].icon_id for key in sorted(keys, key=lambda key: not key.endswith("/"))]


def drop(job: str) -> None:
    """Free a job's previews."""
    for collection in _collections:
        for key in [key for key in collection if key.startswith(f"{job}/")]:
            del collection[key]


def free() -> None:
    """Free all previews."""
    while _collections:
        bpy.utils.previews.remove(_collections.pop())
