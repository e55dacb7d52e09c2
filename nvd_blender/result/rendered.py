"""Rendered films and sequences of a result: where they go, and how they come into the edit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import bpy

from nvd_core.spec.errors import InputError

from ..host import compat
from . import conform
from .scenes import folder_of, plate_of


def folder_with_files(scene: bpy.types.Scene) -> Path:
    """Decomposition folder of a result whose files are there.

    Raises:
        InputError: the decomposition or the plate is gone.
    """
    folder = folder_of(scene)
    for path in (folder, plate_of(scene)):
        if path is None or not path.exists():
            raise InputError("The result's files are not there", where=path, hint="Put them back, or decompose again.")
    return folder


def name_of(folder: Path) -> str:
    """Name of a result's clip, for files that are rendered of it."""
    return folder.name.removesuffix("_nvd")


def free_version(folder: Path, what: str) -> Path:
    """Next free folder beside a decomposition: ``car_nvd_render/v002``."""
    renders, version = folder.with_name(f"{folder.name}_{what}"), 1
    while (renders / f"v{version:03d}").exists():
        version += 1
    return renders / f"v{version:03d}"


def add_to_edit(result: bpy.types.Scene, files: Sequence[Path], name: str) -> conform.Place | None:
    """Add a film, or the pictures of a sequence, above the strip of a result's footage; None if no strip shows it."""

    def new(strips: Any, channel: int, start: int) -> Any:  # noqa: ANN401 (a strip's class differs)
        options = {"name": name, "filepath": str(files[0]), "channel": channel, "frame_start": start}
        if files[0].suffix == ".mp4":
            return strips.new_movie(**options)
        strip = strips.new_image(**options)
        for other in files[1:]:
            strip.elements.append(other.name)
        compat.trim(strip, start, start + len(files))
        return strip

    windows = bpy.context.window_manager.windows
    with bpy.context.temp_override(window=windows[0]) if windows else nullcontext():  # a timer has no window
        try:
            place = conform.place_meant(bpy.context, result)
        except InputError:
            return None  # the clip is in no timeline: only the files were wanted
        conform.add_above(place, new)
    return place
