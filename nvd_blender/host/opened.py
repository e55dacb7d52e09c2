"""Track which .blend is open: a job's result is loaded only into the one in which the job was started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import bpy

from .timers import lasting


@dataclass(eq=False)
class File:
    """A .blend that is or was open; the same object after it is saved under another name or opened again.

    Attributes:
        path: of the file; empty while it was never saved.
    """

    path: str


_files: Final[list[File]] = []
"""All .blends of this session; the last one is open."""


def now() -> File:
    """The open .blend."""
    if not _files:
        _files.append(File(bpy.data.filepath))
    return _files[-1]


@bpy.app.handlers.persistent
@lasting(None)
def _loaded(*_: object) -> None:
    path = bpy.data.filepath
    known = next((one for one in reversed(_files) if path and one.path == path), None)
    file = known or File(path)
    _files[:] = [*(one for one in _files if one is not file), file]


@bpy.app.handlers.persistent
@lasting(None)
def _saved(*_: object) -> None:
    now().path = bpy.data.filepath


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.load_post.append(_loaded)
    bpy.app.handlers.save_post.append(_saved)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.load_post.remove(_loaded)
    bpy.app.handlers.save_post.remove(_saved)
    _files.clear()
