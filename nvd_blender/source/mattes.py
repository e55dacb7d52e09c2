"""Convert the objects' masks in Blender to mask sources of a job.

Mask datablocks are written to a small .blend in the job's record, and a second Blender in the background rasterises
them, by :mod:`nvd_blender.source.rasterise`, so that this one is never blocked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy

import nvd_core
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import write_json
from nvd_core.spec.patterns import file_of

from ..host import compat
from . import footage
from .footage import Selected
from .key_frames import is_carried, keys_of
from .objects import NVD_PG_mask, row_of
from .records import MATTES, MATTES_WANTED

_TESTED_FRAMES: Final = 100
"""About the number of frames at which a mask is tested for motion."""


@dataclass(frozen=True)
class Masks:
    """Masks of a job.

    Attributes:
        job: mask sources, as in ``job.toml``.
        blender: mask datablocks to rasterise.
        wanted: instructions for :mod:`nvd_blender.source.rasterise`.
    """

    job: list[dict[str, Any]]
    blender: set[bpy.types.Mask]
    wanted: dict[str, Any]

    def leave(self, place: Path) -> None:
        """Write the mask datablocks and the instructions into a job's record."""
        if self.blender:
            followed = {clip for mask in self.blender for clip in compat.followed_clips(mask)}
            bpy.data.libraries.write(str(place / "masks.blend"), self.blender | followed, path_remap="ABSOLUTE")
            write_json(place / MATTES_WANTED, self.wanted)


def masks_of(chosen: Selected) -> Masks:
    """Collect the masks of the selected footage's objects, front to back.

    Raises:
        InputError: a mask is missing, or cannot be matched with the frames.
    """
    job, blender, mattes = [], set(), []
    used = range(chosen.footage.first, chosen.footage.last + 1)
    for item in chosen.asked.masks:
        folder = str(len(mattes))
        sources = sources_of(item, chosen, folder)
        if item.source == "MASK":
            wanted = [one["frame"] for one in sources if "frame" in one] or list(used)
            mattes.append({"folder": folder, "numbers": wanted, **_drawn(item, chosen)})
            blender.add(item.mask)
        told = {"locked": True} if item.locked else {}
        told |= {"drawn": True} if item.source == "MASK" else {}
        job += [{"name": item.name, **told, **source} for source in sources]
    return Masks(job, blender, {"size": list(chosen.size), "first": used.start, "mattes": mattes})


def sources_of(item: NVD_PG_mask, chosen: Selected, folder: str = "0") -> list[dict[str, Any]]:
    """Mask sources of an object, as in ``job.toml``.

    Args:
        item: the object.
        chosen: strip or movie clip of the object.
        folder: name of the folder that its mask datablock is rasterised into.

    Raises:
        InputError: a mask is missing, or cannot be matched with the frames.
    """
    keys = _keys(item, chosen)
    if item.source == "MASK":
        _drawn(item, chosen)
        whole = f"{MATTES}/{folder}"
        return [{"path": f"{whole}/mask.{key:04d}.png", "frame": key} for key in keys] or [{"path": whole}]
    if item.source == "STRIP":
        return _beside(item, chosen, keys)
    row = row_of(item)
    return [{"path": row.name} if row else _file(item, keys)]


def refuse_stills(chosen: Selected) -> None:
    """Refuse mask datablocks without motion, unless they are propagated or ticked as the same in all frames.

    Raises:
        InputError: there is one.
    """
    for item in chosen.asked.masks:
        is_asked = item.source == "MASK" and not is_carried(item) and not item.still and chosen.length > 1
        if is_asked and not _moves(item.mask, chosen.length):
            raise InputError(
                f"The mask {item.mask.name} is drawn on one frame alone",
                where=item.name,
                hint="Press Carry From This Frame where it fits, or tick Same in All Frames.",
            )


def _moves(mask: bpy.types.Mask, length: int) -> bool:
    """Whether a mask moves: by tracks, animation or shape keys. The API does not expose shape keys: evaluate frames."""
    data = mask.animation_data
    if compat.followed_clips(mask) or (data and (data.action or data.drivers or data.nla_tracks)):
        return True
    first, last = min(mask.frame_start, 1), max(mask.frame_end, length)
    step = max(1, (last - first) // _TESTED_FRAMES)
    with compat.evaluated(mask) as at:
        return len({at(frame) for frame in (*range(first, last + 1, step), last)}) > 1


def rendering_command(place: Path) -> Sequence[str]:
    """Command line of the Blender that rasterises the masks of a job's record; see :meth:`Masks.leave`."""
    script, core = Path(__file__).with_name("rasterise.py"), Path(nvd_core.__file__).parents[1]
    if not bpy.app.binary_path:  # Blender as a module
        return [sys.executable, "-P", str(script), str(place), str(core)]
    quiet = ["-b", "--factory-startup", "--python-exit-code", "1"]
    return [bpy.app.binary_path, *quiet, "--python", str(script), "--", str(place), str(core)]


def _keys(item: NVD_PG_mask, chosen: Selected) -> list[int]:
    """Key frames of a mask as plate numbers, within the frames used; none if there is a mask for every frame."""
    if not is_carried(item):
        return []
    used, numbers = chosen.footage, keys_of(item, chosen)
    for number in numbers:
        if not used.first <= number <= used.last:
            raise InputError(
                f"The mask is of the clip's frame {number}, which {chosen.name} does not show",
                where=item.name,
                hint=f"It shows frames {used.first} to {used.last}.",
            )
    return numbers


def _file(item: NVD_PG_mask, keys: Sequence[int]) -> dict[str, Any]:
    """Mask source of the files in the object's field."""
    path = bpy.path.abspath(item.picture if keys else item.path)
    if not path:
        raise _unnamed(item)
    if len(keys) > 1:
        raise InputError(
            "One picture cannot be the mask of several frames", where=item.name, hint="Name one; add the object again."
        )
    return {"path": path, "frame": keys[0]} if keys else {"path": path}


def _drawn(item: NVD_PG_mask, chosen: Selected) -> dict[str, Any]:
    """Instructions for a mask datablock: its name, its layer, and its frame at the first frame used."""
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
    """Mask sources of another strip, synchronised by the timeline: its footage from the first frame used on.

    If the mask has key frames: the strip's pictures at these frames.
    """
    if chosen.timeline is None:
        raise InputError(
            "A strip cannot be the mask of a movie clip", where=item.name, hint="Decompose in the Sequencer."
        )
    if not item.strip:
        raise _unnamed(item)
    if item.strip == chosen.name:
        raise InputError("The strip cannot be its own mask", where=item.strip, hint="Choose another, or its alpha.")
    strip = footage.strip_named(chosen.scene, item.strip)
    if strip is None:
        raise InputError("There is no such movie or image strip", where=item.strip, hint="Choose another as mask.")
    if item.noted == strip.name and item.noted_id not in {"", footage.file_name(strip)}:
        raise InputError(
            f"The strip {strip.name} is another here than the one that was chosen, which shows {item.noted_id}",
            where=item.name,
            hint="Clear the field, and choose the one that you mean.",
        )
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
    return [{"path": str(file_of(found.clip, key + later)), "frame": key} for key in keys] or [
        {"path": str(found.clip), "first": first}
    ]


def _unnamed(item: NVD_PG_mask) -> InputError:
    if item.source == "MASK" and item.noted:
        return InputError(
            f"The mask {item.noted} that was chosen is not in this file",
            where=item.name,
            hint="Append it, or choose one.",
        )
    return InputError("The object has no mask", where=item.name, hint="Choose one, or where it comes from.")
