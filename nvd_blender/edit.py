"""Back to the edit: where in a timeline a result belongs, and putting it there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import bpy

from nvd_core.errors import InputError

from . import compat, footage
from .results import plate_of, results

NewStrip = Callable[[Any, int, int], Any]
"""Makes a strip: given the collection, a channel, and the timeline frame of the result's first frame."""


class Place(NamedTuple):
    """A strip that a result belongs above.

    Attributes:
        result: the scene of the result.
        scene: where the strip is.
        strip: it.
        start: timeline frame of the result's first frame.
        left: first timeline frame that both show.
        right: the one after the last.
    """

    result: bpy.types.Scene
    scene: bpy.types.Scene
    strip: Any
    start: int
    left: int
    right: int


def named(name: str) -> bpy.types.Scene:
    """The result whose scene has that name; the newest if it is empty.

    Raises:
        InputError: there is none.
    """
    for result in results():
        if result.name == (name or result.name):
            return result
    raise InputError(
        f"There is no result {name!r} any more" if name else "There is no result", hint="Decompose a clip, or load one."
    )


def place_above(strip: Any, scene: bpy.types.Scene) -> Place:  # noqa: ANN401 (a strip's class differs)
    """Where the newest result of a strip's footage belongs.

    Raises:
        InputError: there is none.
    """
    found = footage.from_strip(strip, scene)
    for result in results():
        if place := _place(result, found, strip, scene):
            return place
    raise InputError("This strip has no result", where=found.clip, hint="Decompose it first.")


def place_of(result: bpy.types.Scene) -> Place:
    """The first strip that shows what a result was made from.

    Raises:
        InputError: no scene has one.
    """
    for scene in bpy.data.scenes:
        for strip in compat.strips(scene.sequence_editor) if scene.sequence_editor else ():
            with suppress(InputError):
                if place := _place(result, footage.from_strip(strip, scene), strip, scene):
                    return place
    raise InputError("No strip shows the footage of this result", where=result.name, hint="Add its clip first.")


def add_above(place: Place, new: NewStrip) -> Any:  # noqa: ANN401
    """Put a strip there: in sync, trimmed and placed alike, in the first free channel."""
    others = compat.strips(place.scene.sequence_editor)
    spans = [(other.channel, *compat.strip_span(other)[1:]) for other in others]
    channel = place.strip.channel + 1
    while any(at == channel and begin < place.right and place.left < begin + length for at, length, begin in spans):
        channel += 1
    added = new(others, channel, place.start)
    compat.trim(added, place.left, place.right)
    added.channel = channel  # where it was longer than it is now it has gone out of the way of others
    for owner, copy in ((place.strip.transform, added.transform), (place.strip.crop, added.crop)):
        for one in owner.bl_rna.properties:
            if not one.is_readonly:
                setattr(copy, one.identifier, getattr(owner, one.identifier))
    added.use_flip_x, added.use_flip_y = place.strip.use_flip_x, place.strip.use_flip_y
    return added


def _place(result: bpy.types.Scene, found: footage.Footage, strip: Any, scene: bpy.types.Scene) -> Place | None:  # noqa: ANN401
    plate = plate_of(result)
    first, last = max(result.frame_start, found.first), min(result.frame_end, found.last)
    if plate is None or not found.has(plate) or first > last:
        return None
    skipped, _, left = compat.strip_span(strip)
    shown_from = left + max(0, compat.source_range(strip).start - skipped)  # where the strip shows found.first
    zero = shown_from - found.first
    return Place(result, scene, strip, zero + result.frame_start, zero + first, zero + last + 1)
