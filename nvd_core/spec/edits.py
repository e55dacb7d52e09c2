"""Edits of a result: for every layer a stack of inserts, pictures pinned to its atlas over what is painted there.

They lie in ``edits.json`` and ``edits/``. Key frames are rows ``(frame, values...)``, interpolated linearly, constant
before the first and after the last; so a value that does not change is one row, at a frame before the shot.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Interval, MinLen

from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME, write_json
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.validation import misfit

SCHEMA_VERSION: Final = 1

CORNERS: Final = ("Upper Left", "Upper Right", "Lower Right", "Lower Left")
"""Order of an insert's corners, as its own picture is seen."""

Blend = Literal[
    "MIX", "DARKEN", "MULTIPLY", "BURN", "LIGHTEN", "SCREEN", "DODGE", "ADD", "OVERLAY", "SOFT_LIGHT", "LINEAR_LIGHT",
    "DIFFERENCE", "EXCLUSION", "SUBTRACT", "DIVIDE", "HUE", "SATURATION", "COLOR", "VALUE",
]  # fmt: skip
"""Blend modes, by the names of Blender's *Mix Color*."""

RIM_PX: Final = 1
"""Width of the transparent rim of an insert's picture."""

_FILES: Final = "edits"
_MOST_UV: Final = 1000.0

Keys = tuple[tuple[float, ...], ...]
Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """A picture or movie that is pinned to a layer's atlas by its corners.

    Attributes:
        name: unique in the result.
        file: its picture, or the first of a sequence; relative to the folder. Around the picture lies a transparent
            rim of one pixel, outside the corners, so that a look-up with extended edges is transparent beyond it.
        width: of the picture with its rim, px.
        height: of the picture with its rim, px.
        corners: key frames of (u, v) of its four corners in :data:`CORNERS`' order, uv_atlas; they may lie beyond it.
        opacity: key frames, 0 to 1.
        blend: how its colours meet those below.
        is_visible: off, it stays in the stack and does nothing.
        is_clipped: to the layer's outline; else it shows beyond the outline, too, before the layers behind.
        first: plate frame from which it is shown; None for the shot's first.
        last: plate frame until which it is shown; None for the shot's last.
        fade_in: number of frames from transparent to opaque at its first.
        fade_out: number of frames from opaque to transparent at its last.
        count: number of pictures; 1 for a still.
        start: plate frame that shows the first picture of a sequence, which is not seen before; the last one holds.
        source: file that it was inserted from, as a record.
    """

    name: str
    file: str
    width: Annotated[int, Interval(ge=3, le=65536)]
    height: Annotated[int, Interval(ge=3, le=65536)]
    corners: Annotated[tuple[tuple[float, ...], ...], MinLen(1)]
    opacity: Annotated[tuple[tuple[float, ...], ...], MinLen(1)] = ((0.0, 1.0),)
    blend: Blend = "MIX"
    is_visible: bool = True
    is_clipped: bool = False
    first: int | None = None
    last: int | None = None
    fade_in: Annotated[int, Interval(ge=0)] = 0
    fade_out: Annotated[int, Interval(ge=0)] = 0
    count: Annotated[int, Interval(ge=1, le=10_000_000)] = 1
    start: int = 1
    source: str = ""

    @property
    def size(self) -> Size:
        """Size of the picture with its rim, px."""
        return Size(self.width, self.height)

    def corners_at(self, frame: float) -> Corners:
        """Corners in a frame, uv_atlas."""
        row = at(self.corners, frame)
        return tuple(zip(row[::2], row[1::2], strict=True))

    def strength(self, frame: int) -> float:
        """Opacity in a frame, with fades; 0 where it is not shown."""
        if not self.is_visible or (self.count > 1 and frame < self.start):
            return 0.0
        share = 1.0
        for edge, way, fade in ((self.first, 1, self.fade_in), (self.last, -1, self.fade_out)):
            if edge is not None:
                share = min(share, max(0.0, ((frame - edge) * way + 1) / (fade + 1)))
        return share * at(self.opacity, frame)[0]

    def path(self, folder: Path, frame: int) -> Path:
        """Path of the picture that a plate frame shows."""
        index = min(max(frame - self.start, 0), self.count - 1)
        return picture_path(folder, self.name, Path(self.file).suffix, self.count, index)

    def paths(self, folder: Path) -> Iterator[Path]:
        """Paths of all its pictures, in order."""
        return (self.path(folder, self.start + index) for index in range(self.count))


@dataclass(frozen=True, slots=True)
class Stack:
    """Edits of a layer.

    Attributes:
        inserts: bottom first, over what is painted on the atlas.
        is_paint_clipped: whether paint on the atlas shows within the layer's outline alone.
    """

    inserts: tuple[Insert, ...] = ()
    is_paint_clipped: bool = True

    @property
    def is_clipped(self) -> bool:
        """Whether all of it shows within the layer's outline alone."""
        return self.is_paint_clipped and all(one.is_clipped for one in self.inserts)

    def named(self, name: str) -> Insert:
        """Insert of a name, which there has to be; so with the others."""
        return next(one for one in self.inserts if one.name == name)

    def having(self, insert: Insert) -> Stack:
        """Put an insert in the place of the one of its name."""
        return replace(self, inserts=tuple(insert if one.name == insert.name else one for one in self.inserts))

    def without(self, name: str) -> Stack:
        """Take an insert out."""
        return replace(self, inserts=tuple(one for one in self.inserts if one.name != name))

    def moved(self, name: str, places: int) -> Stack:
        """Move an insert up, or down if negative, by so many places, at most to the end."""
        insert, others = self.named(name), list(self.without(name).inserts)
        others.insert(min(max(self.inserts.index(insert) + places, 0), len(others)), insert)
        return replace(self, inserts=tuple(others))


NO_EDITS: Final = Stack()

Edits = dict[str, Stack]
"""Stacks by layer; a layer may be missing."""


def at(keys: Sequence[Sequence[float]], frame: float) -> tuple[float, ...]:
    """Values of key frames at a frame."""
    after = bisect_right([row[0] for row in keys], frame)
    if after in {0, len(keys)}:
        return tuple(keys[max(0, after - 1)][1:])
    (begin, *old), (end, *new) = keys[after - 1], keys[after]
    share = (frame - begin) / (end - begin)
    return tuple(one + share * (other - one) for one, other in zip(old, new, strict=True))


def keyed(keys: Keys, frame: float, values: Sequence[float]) -> Keys:
    """Set values at a frame: one more key frame, or another value of an existing one."""
    return tuple(sorted({row[0]: row for row in (*keys, (float(frame), *values))}.values()))


def edits_path(folder: Path) -> Path:
    """Path of the record of all edits."""
    return folder / "edits.json"


def picture_path(folder: Path, name: str, suffix: str, count: int, index: int = 0) -> Path:
    """Path of one of an insert's ``count`` pictures, counted from 0."""
    place = folder / _FILES
    return place / f"{name}{suffix}" if count == 1 else place / name / f"{name}.{index + 1:04d}{suffix}"


def taken_names(folder: Path) -> set[str]:
    """Names for which pictures of inserts lie in a result, in use or not."""
    return {path.stem for path in (folder / _FILES).glob("*")}


def inserts(edits: Mapping[str, Stack]) -> dict[str, tuple[str, Insert]]:
    """List all inserts by name, with the layer of each."""
    return {one.name: (layer, one) for layer, stack in edits.items() for one in stack.inserts}


def read_edits(folder: Path, layers: Collection[str]) -> Edits:
    """Read the edits of a result; none where there is no record.

    Args:
        folder: of the result.
        layers: names of its layers; edits of others are left out.

    Raises:
        InputError: the record is damaged, of a newer version, or names files outside the folder.
    """
    check_plain(folder, [edits_path(folder).name, _FILES])
    path = edits_path(folder)
    if not path.exists():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] != SCHEMA_VERSION:
            raise InputError("The edits are of a newer version", where=path, hint="Open them with a newer program.")
        edits = {layer: _stack(one, path) for layer, one in data["layers"].items() if layer in layers}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise _damaged(path, "") from error
    names = [one.name.casefold() for stack in edits.values() for one in stack.inserts]
    if len(names) != len({*names}):
        raise _damaged(path, "name")
    return edits


def write_edits(folder: Path, edits: Mapping[str, Stack], layers: Collection[str]) -> None:
    """Write the edits of a result's layers; those recorded of layers that it does not have any more stay.

    Raises:
        InputError: a value is one that :func:`read_edits` would refuse, or the file cannot be written.
    """
    path, others = edits_path(folder), {}
    for name, (_, insert) in inserts(edits).items():
        if fault := misfit(asdict(insert), Insert) or _fault(insert):
            message = f"The insert {name} would have {fault} that it cannot have"
            raise InputError(message, where=path, hint="Nothing was changed; give another value.")
    if path.exists():
        others = json.loads(path.read_text(encoding="utf-8"))["layers"]
    kept = {layer: stack for layer, stack in others.items() if layer not in layers}
    stacks = {layer: asdict(stack) for layer, stack in edits.items()}
    write_json(path, {"schema_version": SCHEMA_VERSION, "layers": kept | stacks})


def _stack(data: dict[str, Any], path: Path) -> Stack:
    return Stack(
        tuple(parse_insert(one, path) for one in data["inserts"]), data.get("is_paint_clipped", True) is not False
    )


def parse_insert(data: dict[str, Any], path: Path) -> Insert:
    """Create an insert from JSON.

    Args:
        data: its fields.
        path: where they come from, for messages.

    Raises:
        InputError: a value does not fit its field.
    """
    known = {name: data[name] for name in Insert.__annotations__ if name in data}
    if name := misfit(known, Insert):
        raise _damaged(path, name)
    for name in known.keys() & {"corners", "opacity"}:
        known[name] = tuple(map(tuple, known[name]))
    insert = Insert(**known)
    if name := _fault(insert):
        raise _damaged(path, name)
    return insert


def _fault(insert: Insert) -> str:
    """Name of the first field of an insert that holds what it cannot; empty if there is none."""
    for name, keys, values, least, most in (
        ("corners", insert.corners, 2 * len(CORNERS), -_MOST_UV, _MOST_UV),
        ("opacity", insert.opacity, 1, 0.0, 1.0),
    ):
        are_rows = all(len(row) == 1 + values and least <= min(row[1:]) and max(row[1:]) <= most for row in keys)
        if not are_rows or [row[0] for row in keys] != sorted({row[0] for row in keys}):
            return name
    own = picture_path(Path(), insert.name, Path(insert.file).suffix, insert.count)
    return "" if LAYER_NAME.fullmatch(insert.name) and own.as_posix() == insert.file else "file"


def _damaged(path: Path, name: str) -> InputError:
    what = f": {name} holds what it cannot" if name else ""
    return InputError(f"The record of the edits is damaged{what}", where=path, hint="Restore it from a copy.")
