"""Watch by a timer that pasted and appended objects keep their own masks and strips: Blender has no event for it."""

from __future__ import annotations

import uuid
from typing import Final

import bpy

from ..host import timers
from . import footage, key_frames
from .objects import NVD_PG_mask

_LOOK_S: Final = 0.5

_ID_KEY: Final = "nvd_id"
"""Custom property of masks: unique, so that masks of one name in different files are told apart."""

_seen: set[tuple[str, str, int]] = set()
"""Scene, strip and index of objects whose noted mask or strip was right at the last check.

A change of these is the user's choice; other objects were pasted or appended.
"""


@timers.lasting(_LOOK_S)
def look() -> float:
    """Timer: check the masks and strips of all objects of this .blend."""
    owners = footage.owners()
    key_frames.take_over_all(owners)
    before = set(_seen)
    _seen.clear()
    for owner, scene in owners:
        for index, item in enumerate(owner.nvd.masks):
            at = (scene.name, owner.name, index)
            if item.source == "MASK" and _note_mask(item, is_known=at in before):
                _seen.add(at)
            if item.source == "STRIP" and _note_strip(item, scene, is_known=at in before):
                _seen.add(at)
    return _LOOK_S


def _note_mask(item: NVD_PG_mask, *, is_known: bool) -> bool:
    """Note name and identity of an object's mask; return whether it has one."""
    if item.noted_id and not is_known:
        _restore_mask(item)
    if item.mask:
        if not (item.mask.library or item.mask.get(_ID_KEY)):
            item.mask[_ID_KEY] = uuid.uuid4().hex
        _note(item, item.mask.name, str(item.mask.get(_ID_KEY, "")))
    elif is_known:  # the user has cleared the field
        _note(item, "", "")
    return item.mask is not None


def _restore_mask(item: NVD_PG_mask) -> None:
    """Give a pasted object its own mask, or none.

    Before 5.2 pasting a strip drops its pointers; 5.2, in another .blend, points them at data of the same name.
    """
    mask = item.mask or bpy.data.masks.get(item.noted)
    if mask and (mask.get(_ID_KEY) == item.noted_id or mask.name != item.noted):
        item.mask = mask
    else:
        item.mask, item.noted_id = None, ""  # the name stays for the message; any later choice is the user's


def _note_strip(item: NVD_PG_mask, scene: bpy.types.Scene, *, is_known: bool) -> bool:
    """Note the strip chosen as a mask by the name of its file; return whether it is still the same strip."""
    strip = footage.strip_named(scene, item.strip)
    file = footage.file_name(strip) if strip else ""
    if is_known or item.noted != item.strip:
        _note(item, item.strip, file)
    return bool(file) and item.noted_id == file


def _note(item: NVD_PG_mask, name: str, known_by: str) -> None:
    """Store name and identity, only where they differ: each assignment may become part of an undo step."""
    for field, value in (("noted", name), ("noted_id", known_by)):
        if getattr(item, field) != value:
            setattr(item, field, value)


@bpy.app.handlers.persistent
@timers.lasting(None)
def _loaded(*_: object) -> None:
    _seen.clear()
    key_frames.take_over_all(footage.owners())


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.load_post.append(_loaded)
    timers.begin(look, _LOOK_S)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.load_post.remove(_loaded)
    timers.end(look)
    _seen.clear()
