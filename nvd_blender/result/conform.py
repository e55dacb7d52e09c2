"""Conform results to the edit: find the strip that a result belongs above, and add it there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from nvd_core.spec.errors import InputError

from ..host import compat
from ..source import footage, look
from .scenes import plate_of, result_scene, results

NewStrip = Callable[[Any, int, int], Any]
"""Creates a strip from: collection, channel, timeline frame of the result's first frame."""


class Place(NamedTuple):
    """Position of a result in a timeline: above a strip that shows its footage.

    Attributes:
        result: scene of the result.
        scene: of the strip.
        strip: that shows the result's footage.
        start: timeline frame of the result's first frame.
        left: first timeline frame that both show.
        right: timeline frame after the last that both show.
    """

    result: bpy.types.Scene
    scene: bpy.types.Scene
    strip: Any
    start: int
    left: int
    right: int


def named(name: str) -> bpy.types.Scene:
    """Find the result by its scene's name; the newest if the name is empty.

    Raises:
        InputError: there is none.
    """
    for result in results():
        if result.name == (name or result.name):
            return result
    raise InputError(
        f"There is no result {name!r} any more" if name else "There is no result", hint="Decompose a clip, or load one."
    )


def places_above(strip: Any, scene: bpy.types.Scene) -> list[Place]:  # noqa: ANN401 (a strip's class differs)
    """Places of all results of a strip's footage, longest overlap with the strip first, then newest first.

    Raises:
        InputError: there is none.
    """
    shown = footage.from_strip(strip, scene)
    places = [place for result in results() if (place := _place(result, shown, strip, scene))]
    if not places:
        raise InputError("This strip has no result", where=shown.clip, hint="Decompose it first.")
    return sorted(places, key=lambda place: place.left - place.right)


def places_meant(context: bpy.types.Context) -> list[Place]:
    """Places of the results of the chosen strip, as by :func:`places_above`.

    Raises:
        InputError: no strip is chosen, or it has no result.
    """
    scene = compat.sequencer_scene(context)
    return places_above(footage.chosen_strip(scene), scene)


def place_meant(context: bpy.types.Context, result: bpy.types.Scene) -> Place:
    """Place of a result: above the chosen strip, or above the first strip with its footage.

    Raises:
        InputError: no strip of any scene shows its footage.
    """
    with suppress(InputError):
        for place in places_meant(context):
            if place.result == result:
                return place
    return place_of(result)


def place_of(result: bpy.types.Scene) -> Place:
    """Place of a result above the first strip that shows its footage.

    Raises:
        InputError: no strip of any scene shows it.
    """
    for scene in bpy.data.scenes:
        for strip in compat.all_strips(scene):
            with suppress(InputError):
                if place := _place(result, footage.from_strip(strip, scene), strip, scene):
                    return place
    raise InputError("No strip shows the footage of this result", where=result.name, hint="Add its clip first.")


def uses_of(folder: Path) -> list[str]:
    """Describe the scene of a decomposition and the strips that show that scene: ``strip car.001``."""
    result = result_scene(folder)
    strips = (one for scene in bpy.data.scenes for one in compat.all_strips(scene))
    shown = [one.name for one in strips if one.type == "SCENE" and one.scene == result]
    return [f"scene {result.name}", *(f"strip {name}" for name in shown)] if result else []


def effects_on(place: Place) -> list[str]:
    """Names of effect strips whose input is the strip below a result."""
    inputs = ("input_1", "input_2")
    others = compat.strips_beside(place.scene, place.strip)
    return [one.name for one in others if place.strip in [getattr(one, name, None) for name in inputs]]


def add_above(place: Place, new: NewStrip) -> Any:  # noqa: ANN401
    """Add a strip above a place's strip: in sync, with its trim, look and animation, in the first free channel."""
    others = compat.strips_beside(place.scene, place.strip)
    spans = [(other.channel, *compat.strip_span(other)[1:]) for other in others]
    channel = place.strip.channel + 1
    while any(at == channel and begin < place.right and place.left < begin + length for at, length, begin in spans):
        channel += 1
    added = new(others, channel, place.start)
    compat.trim(added, place.left, place.right)
    added.channel = channel  # untrimmed, it was longer, and Blender may have moved it to avoid an overlap
    look.carry(place.scene, place.strip, added)
    if not look.hides_what_is_below(place.strip):
        place.strip.mute = True  # else both would be visible
    return added


def _place(result: bpy.types.Scene, used: footage.Footage, strip: Any, scene: bpy.types.Scene) -> Place | None:  # noqa: ANN401
    plate = plate_of(result)
    first, last = max(result.frame_start, used.first), min(result.frame_end, used.last)
    if plate is None or not used.has(plate) or first > last:
        return None
    zero = footage.timeline_start(strip) - used.first
    return Place(result, scene, strip, zero + result.frame_start, zero + first, zero + last + 1)
