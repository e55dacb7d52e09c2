"""Pictures of what a job has so far, as icons. Blender reads the files itself, when it draws them and not before.

A file may be gone by then, as the worker deletes its own when it is finished: nothing is drawn.
"""

from __future__ import annotations

import bpy.utils.previews

_collections: list[bpy.utils.previews.ImagePreviewCollection] = []
"""The only one, once there is something to show."""


def show(job: str, layer: str, path: str) -> None:
    """Show a picture in place of the job's earlier one of that layer; of no layer: of the whole frame."""
    if not _collections:
        _collections.append(bpy.utils.previews.new())
    key = f"{job}/{layer}"
    if key in _collections[0]:
        del _collections[0][key]
    _collections[0].load(key, path, "IMAGE")


def icons(job: str) -> list[int]:
    """A job's pictures: the frame first, if there is one, then layers as they came."""
    keys = [key for collection in _collections for key in collection if key.startswith(f"{job}/")]
    return [_collections[0][key].icon_id for key in sorted(keys, key=lambda key: not key.endswith("/"))]


def drop(job: str) -> None:
    """Free a job's pictures."""
    for collection in _collections:
        for key in [key for key in collection if key.startswith(f"{job}/")]:
            del collection[key]


def free() -> None:
    """Free all pictures."""
    while _collections:
        bpy.utils.previews.remove(_collections.pop())
