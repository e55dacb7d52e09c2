"""Key frames of an object's mask, from which it is propagated to all others.

They are stored as plate numbers, so that a mask belongs to the same picture wherever its strip is moved. Earlier
versions stored timeline frames, which are converted by the strip's position.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import bpy

from nvd_core.spec.errors import InputError

from . import footage
from .footage import Selected
from .objects import NVD_PG_mask, row_of


def is_carried(item: NVD_PG_mask) -> bool:
    """Whether an object's mask has key frames and is propagated. The clip's alpha and other rows never are."""
    return bool((item.keys or item.frames).strip()) and not row_of(item)


def keys_of(item: NVD_PG_mask, chosen: Selected) -> list[int]:
    """Key frames of a mask, as plate numbers.

    Raises:
        InputError: the field does not hold frame numbers.
    """
    if item.keys.strip():
        return _numbers(item.keys, item.name)
    return [number + chosen.ahead for number in _numbers(item.frames, item.name)]


def set_keys(item: NVD_PG_mask, keys: Iterable[int]) -> None:
    """Set a mask's key frames, as plate numbers; without any, there is a mask for every frame."""
    item.keys, item.frames = ", ".join(map(str, sorted(set(keys)))), ""


def in_timeline(item: NVD_PG_mask, chosen: Selected) -> str:
    """Key frames of a mask as timeline frames, for display; empty if the field does not hold frame numbers."""
    try:
        return ", ".join(str(key - chosen.ahead) for key in keys_of(item, chosen))
    except InputError:
        return ""


def take_over_all(owners: Iterable[tuple[Any, bpy.types.Scene]]) -> None:
    """Convert timeline frames of earlier versions to plate numbers, while the strips are still where they were.

    Args:
        owners: strips and movie clips, each with its scene; see :func:`nvd_blender.source.footage.owners`.
    """
    for owner, scene in owners:
        for item in (one for one in owner.nvd.masks if one.frames and not one.keys):
            try:
                set_keys(item, keys_of(item, footage.of(owner, scene)))
            except InputError:
                continue  # reported where the object is used


def _numbers(text: str, where: str) -> list[int]:
    words = re.split(r"[\s,;]+", text.strip(" ,;"))
    if not all(re.fullmatch(r"-?[0-9]{1,7}", word) for word in words):
        raise InputError(f"{text!r} are no frames", where=where, hint="Write them as 12, or as 12, 40.")
    return sorted({int(word) for word in words})
