"""From the objects' masks in Blender to what the worker is told of them.

A mask datablock is written to a small file in the job's record, and a second Blender in the background makes
pictures of it, by :mod:`nvd_blender.rasterise`: the window of this one is never held up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

import nvd_core
from nvd_core.errors import InputError
from nvd_core.folder import write_json
from nvd_core.settings import ALPHA

from . import compat, footage
from .footage import Selected
from .objects import NVD_PG_mask, frames_of, is_carried
from .records import MATTES, MATTES_WANTED


@dataclass(frozen=True)
class Masks:
    """The masks of a job.

    Attributes:
        job: as in ``job.toml``.
        blender: the mask datablocks among them.
        wanted: what :mod:`nvd_blender.rasterise` reads.
    """

    job: list[dict[str, Any]]
    blender: set[bpy.types.Mask]
    wanted: dict[str, Any]

    def leave(self, place: Path) -> None:
        """Write what is to be rendered into a job's record."""
        if self.blender:
            followed = {clip for mask in self.blender for clip in compat.followed_clips(mask)}
            bpy.data.libraries.write(str(place / "masks.blend"), self.blender | followed, path_remap="ABSOLUTE")
            write_json(place / MATTES_WANTED, self.wanted)


def masks_of(chosen: Selected) -> Masks:
    """The masks of what is selected, front to back.

    Raises:
        InputError: one of them is not there, or cannot be matched with the frames.
    """
    job, blender, mattes = [], set(), []
    used = range(chosen.footage.first, chosen.footage.last + 1)
    for item in chosen.scene.nvd.masks:
        keys = _keys(item, chosen)
        if item.source == "MASK":
            folder = str(len(mattes))
            mattes.append({"folder": folder, "numbers": keys or list(used), **_drawn(item, chosen)})
            blender.add(item.mask)
            whole = f"{MATTES}/{folder}"
            sources = [{"path": f"{whole}/mask.{key:04d}.png", "frame": key} for key in keys] or [{"path": whole}]
        elif item.source == "STRIP":
            sources = _beside(item, chosen, keys)
        elif item.source == "ALPHA":
            sources = [{"path": ALPHA}]
        else:
            sources = [_file(item, keys)]
        locked = {"locked": True} if item.locked else {}
        job += [{"name": item.name, **locked, **source} for source in sources]
    return Masks(job, blender, {"size": list(chosen.size), "first": used.start, "mattes": mattes})


def rendering_command(place: Path) -> Sequence[str]:
    """The program that renders the masks which :meth:`Masks.leave` has written."""
    script, core = Path(__file__).with_name("rasterise.py"), Path(nvd_core.__file__).parents[1]
    if not bpy.app.binary_path:  # Blender as a module
        return [sys.executable, str(script), str(place), str(core)]
    quiet = ["-b", "--factory-startup", "--python-exit-code", "1"]
    return [bpy.app.binary_path, *quiet, "--python", str(script), "--", str(place), str(core)]


def _keys(item: NVD_PG_mask, chosen: Selected) -> list[int]:
    """The plate numbers that a mask is carried from; none where there is a mask for every frame."""
    if not is_carried(item):
        return []
    used, shown_at = chosen.footage, chosen.start if chosen.timeline is None else chosen.timeline
    numbers = [used.first + frame - shown_at for frame in frames_of(item)]
    for number in numbers:
        if not used.first <= number <= used.last:
            raise InputError(
                f"The mask is of frame {number - used.first + shown_at}, where {chosen.name} is not shown",
                where=item.name,
                hint=f"Frames {shown_at} to {shown_at + used.last - used.first} show it.",
            )
    return numbers


def _file(item: NVD_PG_mask, keys: Sequence[int]) -> dict[str, Any]:
    """Files that the user has named."""
    path = bpy.path.abspath(item.picture if keys else item.path)
    if not path:
        raise _unnamed(item)
    if len(keys) > 1:
        raise InputError(
            "One picture cannot be the mask of several frames", where=item.name, hint="Name one; add the object again."
        )
    return {"path": path, "frame": keys[0]} if keys else {"path": path}


def _drawn(item: NVD_PG_mask, chosen: Selected) -> dict[str, Any]:
    """A mask datablock: its name, its layer, and its frame for the first frame used."""
    mask = item.mask
    if mask is None:
        raise _unnamed(item)
    if mask.library:
        raise InputError("The mask is linked from another file", where=mask.name, hint="Make it local.")
    if item.layer and item.layer not in mask.layers:
        raise InputError(f"The mask has no layer {item.layer}", where=mask.name, hint="Choose another one.")
    layers = [mask.layers[item.layer]] if item.layer else mask.layers
    if not any(len(layer.splines) and not layer.hide_render for layer in layers):
        raise InputError(
            "The mask shows nothing", where=mask.name, hint="Draw the object, and let the layer be seen in renders."
        )
    if not all(chosen.size):
        raise InputError(
            "Blender does not know the size of the clip's pictures", where=chosen.name, hint="Check that it shows them."
        )
    start = chosen.timeline if item.clock == "TIMELINE" and chosen.timeline is not None else chosen.start
    return {"mask": mask.name, "layer": item.layer, "start": start}


def _beside(item: NVD_PG_mask, chosen: Selected, keys: Sequence[int]) -> list[dict[str, Any]]:
    """Another strip's footage, and the frame of it that is shown together with the first frame used.

    Where the mask is carried, its pictures that are shown together with those frames.
    """
    if chosen.timeline is None:
        raise InputError(
            "A strip cannot be the mask of a movie clip", where=item.name, hint="Decompose in the Sequencer."
        )
    if not item.strip:
        raise _unnamed(item)
    if item.strip == chosen.name:
        raise InputError("The strip cannot be its own mask", where=item.strip, hint="Choose another, or its alpha.")
    strip = compat.strips(chosen.scene.sequence_editor).get(item.strip)
    if strip is None or strip.type not in footage.KINDS:
        raise InputError("There is no such movie or image strip", where=item.strip, hint="Choose another as mask.")
    found = footage.from_strip(strip, chosen.scene)
    if footage.is_still(strip):
        return [{"path": str(found.clip), "frame": key} for key in keys] or [{"path": str(found.clip)}]
    first = found.first + chosen.timeline - footage.timeline_start(strip)
    later = first - chosen.footage.first
    used = keys or (chosen.footage.first, chosen.footage.last)
    if used[0] + later < found.first or used[-1] + later > found.last:
        frames = "that frame" if len(keys) == 1 else "these frames" if keys else "all frames"
        raise InputError(
            f"The strip {strip.name} is not there for {frames} of {chosen.name}",
            where=item.name,
            hint="Let it begin no later and end no sooner.",
        )
    if keys and strip.type == "MOVIE":
        raise InputError(
            "A frame of a movie cannot be carried", where=strip.name, hint="Use a strip of pictures, or a Blender Mask."
        )
    return [{"path": str(found.picture(key + later)), "frame": key} for key in keys] or [
        {"path": str(found.clip), "first": first}
    ]


def _unnamed(item: NVD_PG_mask) -> InputError:
    return InputError("The object has no mask", where=item.name, hint="Choose one, or where it comes from.")
