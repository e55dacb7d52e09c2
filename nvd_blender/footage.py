"""What was selected, a strip or a movie clip, as footage the worker understands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import bpy

from nvd_core.conventions import Size
from nvd_core.errors import InputError

from . import compat

KINDS: Final = ("MOVIE", "IMAGE")
"""Of strips that have footage."""

_LAST_FRAME: Final = 1_048_574
"""The highest number that a scene's frame can have."""

_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")
_MARKS = re.compile(r"#+(?=[^#]*$)")
_AT_OWN_RATE = "Add it again without Adjust Playback Rate, or in a scene of its frame rate."


@dataclass(frozen=True)
class Footage:
    """A range of plate frames.

    Attributes:
        clip: as the worker takes it: a video, a pattern or one picture.
        first: plate number of the first frame used.
        last: plate number of the last frame used.
        fps: frames a second of a picture sequence; None for a video, which says it itself.
        shown: how Blender shows it, as the worker compares it with what it decodes.
    """

    clip: Path
    first: int
    last: int
    fps: float | None
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> dict[str, Any]:
        """The part of a job that this settles."""
        settings = {"frames": f"{self.first}-{self.last}"} | ({} if self.fps is None else {"fps": self.fps})
        return {"clip": str(self.clip), "settings": settings, "shown": self.shown | {"turns": compat.TURNS_MOVIES}}

    def picture(self, number: int) -> Path:
        """The file of a frame of a picture sequence."""
        return self.clip.with_name(_MARKS.sub(lambda marks: str(number).zfill(len(marks[0])), self.clip.name))

    def has(self, file: Path) -> bool:
        """Whether a file is this video, or a picture of this sequence."""
        return self.clip.resolve() in {file.resolve(), pattern_of(file.resolve())}

    @property
    def result_folder(self) -> Path:
        """Where a result goes if the user names no place: beside the footage."""
        stem = re.sub(r"[\s._#-]+$", "", self.clip.stem) or self.clip.parent.name
        return self.clip.parent / f"{stem}_nvd"


class Selected(NamedTuple):
    """What is selected: the Clip editor's clip, else the Sequencer's active strip.

    Attributes:
        footage: what it shows.
        name: its name in Blender.
        size: of its pictures; (0, 0) where Blender does not know it.
        scene: whose settings are meant.
        start: scene frame of the first frame used, in the Clip editor; for a strip as if its footage began at 1.
        timeline: frame at which the Sequencer shows the first frame used; None for a movie clip.
    """

    footage: Footage
    name: str
    size: Size
    scene: bpy.types.Scene
    start: int
    timeline: int | None


def selected(context: bpy.types.Context) -> Selected:
    """What is selected. No file is read for it.

    Raises:
        InputError: nothing suitable is.
    """
    if clip := getattr(context, "edit_movieclip", None):
        found, start = from_movie_clip(clip, context.scene), clip.frame_start - clip.frame_offset
        return Selected(found, clip.name, Size(*clip.size), context.scene, start, None)
    scene = compat.sequencer_scene(context)
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    found, element = from_strip(strip, scene), strip.elements[0]
    size, start = Size(element.orig_width, element.orig_height), 1 + _shown(strip).start
    return Selected(found, strip.name, size, scene, start, timeline_start(strip))


def from_strip(strip: Any, scene: bpy.types.Scene) -> Footage:  # noqa: ANN401 (its class differs between versions)
    """The footage of a movie or image strip, as it is trimmed.

    Raises:
        InputError: the strip is of another kind, or plays its frames in another way than one after the other.
    """
    if strip is None or strip.type not in KINDS:
        raise InputError("No movie or image strip is active", hint="Select one in the Sequencer.")
    for is_set, what in (
        (strip.use_reverse_frames, "plays backwards"),
        (len(getattr(strip, "retiming_keys", ())) > 0, "is retimed"),
        (strip.strobe > 1, "has a strobe"),
    ):
        if is_set:
            raise InputError(f"The strip {what}", where=strip.name, hint="Undo that, and do it to the result instead.")
    colour = {"colour": strip.colorspace_settings.name}
    if is_still(strip):
        return _picture(Path(bpy.path.abspath(strip.directory)) / strip.elements[0].filename, _rate(scene), colour)
    shown = _shown(strip)
    if not shown:
        raise InputError("The strip shows none of its footage", where=strip.name, hint="Move its handles.")
    if strip.type == "MOVIE":
        if not compat.is_at_own_rate(strip):
            raise InputError("The strip is played at another rate", where=strip.name, hint=_AT_OWN_RATE)
        element, frames = strip.elements[0], compat.source_count(strip)
        source = {"width": element.orig_width, "height": element.orig_height, "frames": frames}
        return Footage(Path(bpy.path.abspath(strip.filepath)), shown.start + 1, shown.stop, None, source | colour)
    names = [element.filename for element in strip.elements]
    return _sequence(Path(bpy.path.abspath(strip.directory)), names[shown.start : shown.stop], _rate(scene), colour)


def is_still(strip: Any) -> bool:  # noqa: ANN401
    """Whether a strip is one picture, shown for as long as it takes."""
    return strip.type == "IMAGE" and len(strip.elements) == 1


def timeline_start(strip: Any) -> int:  # noqa: ANN401
    """The frame of the timeline at which a strip shows the first frame of :func:`from_strip`."""
    skipped, _, left = compat.strip_span(strip)
    return left if is_still(strip) else left + _shown(strip).start - skipped


def _shown(strip: Any) -> range:  # noqa: ANN401
    """The frames of its footage that a strip shows, from 0."""
    if is_still(strip):
        return range(1)
    skipped, count, _ = compat.strip_span(strip)
    there = compat.source_range(strip)
    return range(max(there.start, skipped), min(there.stop, skipped + count))


def from_movie_clip(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> Footage:
    """The footage of a movie clip, all of it.

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
    """``shot.0101.png`` as ``shot.####.png``."""
    return path.with_name(_LAST_NUMBER.sub(lambda digits: "#" * len(digits[0]), path.stem) + path.suffix)


def _rate(scene: bpy.types.Scene) -> float:
    return scene.render.fps / scene.render.fps_base
