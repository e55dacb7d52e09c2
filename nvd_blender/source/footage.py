"""Convert the selected strip or movie clip to footage for the worker: clip, frame range, frame rate."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import bpy

from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

from ..host import compat, disk
from ..host.labels import redraw
from ..host.timers import lasting
from . import look
from .objects import asked
from .records import Record

KINDS: Final = ("MOVIE", "IMAGE")
"""Types of strips that have footage."""

_LAST_FRAME: Final = 1_048_574
"""Highest frame number of a scene in Blender."""

_SAME_RATE: Final = 0.01
"""Largest difference of frame rates that Blender takes for equal, frames per second."""

_FRESH_S: Final = 0.5
_MOST: Final = 64

_sequences: dict[tuple[Any, ...], tuple[float, Footage]] = {}
"""Cache of image strips' footage, with the time of each."""

_counts: dict[Path, tuple[tuple[int, int], int]] = {}
"""Cache of movies' frame counts: modification time and size of the file, and number of frames."""

_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")
_AT_OWN_RATE = "Add it again without Adjust Playback Rate, or in a scene of its frame rate."


@dataclass(frozen=True)
class Footage:
    """Range of plate frames of a clip.

    Attributes:
        clip: as a job names it: a video, a pattern or one picture.
        first: plate number of the first frame used.
        last: plate number of the last frame used.
        fps: frames per second of a picture sequence; None for a video, whose file has it.
        shown: size, frame count and colour space in Blender, which the worker compares with what it decodes.
    """

    clip: Path
    first: int
    last: int
    fps: float | None
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> dict[str, Any]:
        """Part of a job that the footage determines, as in ``job.toml``."""
        settings = {"frames": f"{self.first}-{self.last}"} | ({} if self.fps is None else {"fps": self.fps})
        return {"clip": str(self.clip), "settings": settings, "shown": self.shown | {"turns": compat.TURNS_MOVIES}}

    def has(self, file: Path) -> bool:
        """Whether a file is this video, or a picture of this sequence."""
        return self.clip.resolve() in {file.resolve(), pattern_of(file.resolve())}

    @property
    def result_folder(self) -> Path:
        """Default folder of the result, beside the footage."""
        stem = re.sub(r"[\s._#-]+$", "", self.clip.stem) or self.clip.parent.name
        return self.clip.parent / f"{stem}_nvd"


class Selected(NamedTuple):
    """Selected strip or movie clip with its footage; see :func:`chosen`.

    Attributes:
        owner: strip or movie clip, which stores the objects and the output folder.
        footage: frames that it shows.
        name: of the strip or movie clip.
        size: of its pictures, px; (0, 0) if Blender does not know it.
        scene: that stores the settings.
        start: scene frame of the first frame used in the Clip editor; for a strip as if its footage began at 1.
        timeline: timeline frame of the first frame used; None for a movie clip.
    """

    owner: Any
    footage: Footage
    name: str
    size: Size
    scene: bpy.types.Scene
    start: int
    timeline: int | None

    @property
    def asked(self) -> bpy.types.PropertyGroup:
        """Its objects and output folder."""
        return asked(self.owner, self.scene)

    @property
    def ahead(self) -> int:
        """Plate number of a frame minus the frame of the playhead that shows it."""
        return self.footage.first - (self.start if self.timeline is None else self.timeline)

    @property
    def length(self) -> int:
        """Number of frames used."""
        return self.footage.last - self.footage.first + 1


def chosen(context: bpy.types.Context) -> tuple[Any, bpy.types.Scene]:
    """Find the Clip editor's clip, else the Sequencer's chosen strip, and its scene.

    Raises:
        InputError: nothing suitable is selected.
    """
    if clip := getattr(context, "edit_movieclip", None):
        return clip, context.scene
    scene = compat.sequencer_scene(context)
    return chosen_strip(scene), scene


def chosen_strip(scene: bpy.types.Scene) -> Any:  # noqa: ANN401 (a strip's class differs)
    """Find the active strip, or the picture of the active sound: adding a clip leaves its sound active.

    Raises:
        InputError: no movie or image strip is selected, or several are and none is active.
    """
    editor = scene.sequence_editor
    active = editor.active_strip if editor else None
    if active is not None and active.type in KINDS:
        return active
    pictures = [strip for strip in compat.shown_strips(editor) if strip.type in KINDS] if editor else []
    candidates = [strip for strip in pictures if strip.select]
    if active is not None and active.type == "SOUND" and len(candidates) != 1:
        candidates = _pictures_of(active, candidates or pictures) or candidates
    if len(candidates) > 1:
        raise InputError("Several strips are selected, and none of them is active", hint="Click the one you mean.")
    if not candidates and active is not None and active.type == "META":
        raise InputError(f"{active.name} is a meta strip", hint="Enter it with Tab, and select a strip in it.")
    if not candidates:
        raise InputError("No movie or image strip is active", hint="Select one in the Sequencer.")
    return candidates[0]


def _pictures_of(sound: Any, strips: list[Any]) -> list[Any]:  # noqa: ANN401
    """Strips with a sound's picture: connected with it, else of the same file, best with the same start."""
    connected = [strip for strip in strips if strip.name in {one.name for one in compat.connected(sound)}]
    file = bpy.path.abspath(sound.sound.filepath) if sound.sound else ""
    alike = [strip for strip in strips if strip.type == "MOVIE" and bpy.path.abspath(strip.filepath) == file]
    start = compat.strip_start(sound)
    return connected or [strip for strip in alike if compat.strip_start(strip) == start] or alike


def selected(context: bpy.types.Context) -> Selected:
    """Selected strip or movie clip with its footage. Reads no file.

    Raises:
        InputError: nothing suitable is selected.
    """
    return of(*chosen(context))


def strip_named(scene: bpy.types.Scene, name: str) -> Any:  # noqa: ANN401
    """Find a movie or image strip of a scene by name, also in meta strips; None if there is none."""
    return next((one for one in compat.all_strips(scene) if one.name == name and one.type in KINDS), None)


def file_name(strip: Any) -> str:  # noqa: ANN401
    """Name of the file of a movie strip, or of the first file of an image strip."""
    return strip.elements[0].filename


def owners() -> list[tuple[Any, bpy.types.Scene]]:
    """All strips and movie clips of this .blend that may have objects, each with its scene."""
    scenes = [scene for scene in bpy.data.scenes if not scene.library]
    strips = [(one, scene) for scene in scenes for one in compat.all_strips(scene) if one.type in KINDS]
    return strips + [(clip, bpy.context.scene) for clip in bpy.data.movieclips if not clip.library]


def showing(record: Record) -> Selected | None:
    """Find a strip or movie clip that shows the frames of a job, preferring one of the job's name."""
    for owner, scene in sorted(owners(), key=lambda pair: pair[0].name != record.name):
        with suppress(InputError):
            if record.is_of((candidate := of(owner, scene)).footage.job):
                return candidate
    return None


def of(owner: Any, scene: bpy.types.Scene) -> Selected:  # noqa: ANN401
    """Describe a strip or movie clip like the selected one.

    Raises:
        InputError: its footage cannot be used.
    """
    if isinstance(owner, bpy.types.MovieClip):
        used, start = from_movie_clip(owner, scene), owner.frame_start - owner.frame_offset
        return Selected(owner, used, owner.name, Size(*owner.size), scene, start, None)
    used, element = from_strip(owner, scene), owner.elements[0]
    size, start = Size(element.orig_width, element.orig_height), 1 + _shown(owner).start
    return Selected(owner, used, owner.name, size, scene, start, timeline_start(owner))


def from_strip(strip: Any, scene: bpy.types.Scene) -> Footage:  # noqa: ANN401 (its class differs between versions)
    """Footage of a movie or image strip within its trim.

    Raises:
        InputError: the strip is of another type, or does not play its frames one by one at their own rate.
    """
    if strip is None or strip.type not in KINDS:
        raise InputError("No movie or image strip is active", hint="Select one in the Sequencer.")
    look.check(strip)
    if len(getattr(strip, "retiming_keys", ())) > 0:
        raise InputError("The strip is retimed", where=strip.name, hint="Undo that, and do it to the result instead.")
    colour = {"colour": strip.colorspace_settings.name}
    if is_still(strip):
        return _picture(Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename, _rate(scene), colour)
    shown = _shown(strip)
    if not shown:
        raise InputError("The strip shows none of its footage", where=strip.name, hint="Move its handles.")
    if strip.type == "MOVIE":
        element, frames = strip.elements[0], compat.source_count(strip)
        file = Path(bpy.path.abspath(strip.filepath))
        is_stretched = abs(strip.fps - _rate(scene)) > _SAME_RATE and _own_count(file) not in {0, frames}
        if not compat.is_at_own_rate(strip) or is_stretched:
            raise InputError("The strip is played at another rate", where=strip.name, hint=_AT_OWN_RATE)
        source = {"width": element.orig_width, "height": element.orig_height, "frames": frames}
        return Footage(file, shown.start + 1, shown.stop, None, source | colour)
    return _listed(strip, shown, _rate(scene), colour)


def _listed(strip: Any, shown: range, fps: float, colour: dict[str, Any]) -> Footage:  # noqa: ANN401
    """Footage of an image strip, cached: panels call this at every redraw, and thousands of names take too long."""
    elements = strip.elements
    ends = (len(elements), elements[0].filename, elements[-1].filename)
    key = (strip.as_pointer(), strip.directory, *ends, shown.start, shown.stop, fps, *colour.items())
    since, used = _sequences.get(key, (-_FRESH_S, None))
    if used is None or bpy.app.background or time.monotonic() - since > _FRESH_S:
        names = [element.filename for element in elements]
        used = _sequence(Path(bpy.path.abspath(strip.directory)), names[shown.start : shown.stop], fps, colour)
        if len(_sequences) > _MOST:
            _sequences.clear()
        _sequences[key] = (time.monotonic(), used)
    return used


def _own_count(file: Path) -> int:
    """Number of frames of a movie by Blender's count; 0 until it is known, or if the movie cannot be read.

    Blender counts by the header, for strips too. If the header is wrong, only the worker, which decodes, can tell.
    """
    written = disk.known(None, _written, file)
    if written is None:
        return 0
    if file not in _counts or _counts[file][0] != written:  # the file may have been replaced
        _counts[file] = (written, 0)
        if bpy.app.background:
            _count(file, written)
        else:
            bpy.app.timers.register(partial(_count, file, written))  # drawing a panel must not create data
    return _counts[file][1]


def _written(file: Path) -> tuple[int, int]:
    there = file.stat()
    return there.st_mtime_ns, there.st_size


@lasting(None)
def _count(file: Path, written: tuple[int, int]) -> None:
    try:
        clip = bpy.data.movieclips.load(str(file))
    except RuntimeError:
        return
    _counts[file] = (written, clip.frame_duration)
    bpy.data.movieclips.remove(clip)
    redraw("SEQUENCE_EDITOR", region="UI")


def is_still(strip: Any) -> bool:  # noqa: ANN401
    """Whether a strip is a single picture, held for the strip's length."""
    return strip.type == "IMAGE" and len(strip.elements) == 1


def timeline_start(strip: Any) -> int:  # noqa: ANN401
    """Timeline frame at which a strip shows the first frame of :func:`from_strip`."""
    skipped, _, left = compat.strip_span(strip)
    return left if is_still(strip) else left + _shown(strip).start - skipped


def _shown(strip: Any) -> range:  # noqa: ANN401
    """Source frames that a strip shows, from 0."""
    if is_still(strip):
        return range(1)
    skipped, count, _ = compat.strip_span(strip)
    there = compat.source_range(strip)
    return range(max(there.start, skipped), min(there.stop, skipped + count))


def from_movie_clip(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> Footage:
    """Footage of a movie clip, untrimmed.

    Raises:
        InputError: its picture sequence is not numbered, or Blender cannot read it.
    """
    path = Path(bpy.path.abspath(clip.filepath))
    if not clip.frame_duration:
        raise InputError("Blender cannot read the movie clip", where=path, hint="Check that its file is there.")
    colour = {"colour": clip.colorspace_settings.name}
    if clip.source == "MOVIE":
        shown = {"width": clip.size[0], "height": clip.size[1], "frames": clip.frame_duration}
        return Footage(path, 1, clip.frame_duration, None, shown | colour)
    if clip.frame_duration == 1:
        return _picture(path, _rate(scene), colour)
    first = _number(path.name)
    return Footage(pattern_of(path), first, first + clip.frame_duration - 1, _rate(scene), colour)


def _sequence(folder: Path, names: list[str], fps: float, shown: dict[str, Any]) -> Footage:
    numbers = [_number(name) for name in names]
    shapes = {_LAST_NUMBER.sub("", name) for name in names}
    if len(shapes) > 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise InputError("The strip's pictures are not numbered one after the other", where=folder, hint="Rename them.")
    return Footage(pattern_of(folder / names[0]), numbers[0], numbers[-1], fps, shown)


def _picture(path: Path, fps: float, shown: dict[str, Any]) -> Footage:
    number = _number(path.name) if path.stem[-1:].isdecimal() else 1
    return Footage(path, number, number, fps, shown)


def _number(name: str) -> int:
    digits = _LAST_NUMBER.search(Path(name).stem)
    if digits is None:
        raise InputError("The pictures have no numbers in their names", where=name, hint="Rename them.")
    if int(digits[0]) > _LAST_FRAME:
        raise InputError("The number is higher than that of Blender's last frame", where=name, hint="Rename them.")
    return int(digits[0])


def pattern_of(path: Path) -> Path:
    """Pattern of a numbered picture: ``shot.####.png`` for ``shot.0101.png``."""
    return path.with_name(_LAST_NUMBER.sub(lambda digits: "#" * len(digits[0]), path.stem) + path.suffix)


def _rate(scene: bpy.types.Scene) -> float:
    return scene.render.fps / scene.render.fps_base
