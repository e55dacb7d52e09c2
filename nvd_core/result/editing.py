"""Change the edits of a result: insert pictures, pin, order and remove them. Every function writes ``edits.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from nvd_core.image.geometry import size_of
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.insert_pictures import first_picture, forget_pictures, write_pictures
from nvd_core.result.place import corners_in_middle, corners_on_atlas, corners_on_shot
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.edits import (
    CORNERS,
    NO_EDITS,
    Corners,
    Edits,
    Insert,
    Stack,
    edits_path,
    insert_path,
    inserts,
    keyed,
    read_edits,
    with_insert,
    write_edits,
)
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME

Points = Sequence[tuple[float, float]]


def insert_picture(
    decomposition: Decomposition,
    layer: str,
    source: Path,
    points_px: Points | None = None,
    frame: int | None = None,
    name: str = "",
    **values: Any,  # noqa: ANN401 (of an insert)
) -> Insert:
    """Insert a picture or a movie on top of a layer's edits; its file is copied into the result.

    Args:
        decomposition: opened.
        layer: name of the layer.
        source: a picture, a video, a folder of pictures or a pattern.
        points_px: corners in the order of :data:`nvd_core.spec.edits.CORNERS`, px from the upper left corner of the
            frame, or of the atlas if ``frame`` is None. By default the middle of where the layer is seen.
        frame: plate number of the frame that the corners are on.
        name: of the insert; by default the file's.
        values: other fields of :class:`nvd_core.spec.edits.Insert`.

    Raises:
        InputError: there is no such layer or frame, the source cannot be read, or the name is taken or no name.
    """
    with sole_writer(decomposition.folder):
        edits = _edits(decomposition)
        name = _free_name(decomposition, edits, name, source)
        corners = _corners(decomposition, layer, source, points_px, frame)
        atlas = size_of(decomposition.covered(layer))
        values = {"start": decomposition.manifest.source.first} | values
        written = write_pictures(decomposition.folder, name, source, corners, atlas)
        try:
            insert = _with_ends(replace(written, **values), decomposition)
            stack = edits.get(layer, NO_EDITS)
            edits[layer] = replace(stack, inserts=(*stack.inserts, insert))
            _write(decomposition, edits)
        except BaseException:
            forget_pictures(decomposition.folder, written)
            raise
        return insert


def change_insert(decomposition: Decomposition, name: str, **values: Any) -> Insert:  # noqa: ANN401 (of an insert)
    """Change fields of an insert.

    Raises:
        InputError: there is no such insert.
    """
    with sole_writer(decomposition.folder):
        edits = _edits(decomposition)
        _, insert = _find(decomposition, edits, name)
        insert = _with_ends(replace(insert, **values), decomposition)
        _write(decomposition, with_insert(edits, insert))
        return insert


def pin(
    decomposition: Decomposition, name: str, points_px: Points, frame: int | None = None, key: int | None = None
) -> Insert:
    """Pin an insert's corners to points of a frame or of the atlas: as a key frame, or for all frames.

    Args:
        decomposition: opened.
        name: of the insert.
        points_px: see :func:`insert_picture`.
        frame: see :func:`insert_picture`.
        key: frame of the key; None replaces all keys.

    Raises:
        InputError: there is no such insert or frame.
    """
    layer, insert = _find(decomposition, _edits(decomposition), name)
    corners = _corners(decomposition, layer, Path(), points_px, frame)
    row = [value for corner in corners for value in corner]
    keys = ((0.0, *row),) if key is None else keyed(insert.corners, key, row)
    return change_insert(decomposition, name, corners=keys)


def move_insert(decomposition: Decomposition, name: str, places: int) -> None:
    """Move an insert up or down, by so many places, in the stack of its layer.

    Raises:
        InputError: there is no such insert.
    """
    with sole_writer(decomposition.folder):
        edits = _edits(decomposition)
        layer, insert = _find(decomposition, edits, name)
        others = [one for one in edits[layer].inserts if one.name != name]
        place = edits[layer].inserts.index(insert) + places
        others.insert(min(max(place, 0), len(others)), insert)
        _write(decomposition, {**edits, layer: replace(edits[layer], inserts=tuple(others))})


def remove_insert(decomposition: Decomposition, name: str) -> None:
    """Take an insert out of its stack; its pictures stay in the folder.

    Raises:
        InputError: there is no such insert.
    """
    with sole_writer(decomposition.folder):
        edits = _edits(decomposition)
        layer, insert = _find(decomposition, edits, name)
        left = tuple(one for one in edits[layer].inserts if one is not insert)
        _write(decomposition, {**edits, layer: replace(edits[layer], inserts=left)})


def clip_paint(decomposition: Decomposition, layer: str, *, is_clipped: bool) -> None:
    """Choose whether paint on a layer's atlas shows within its outline alone.

    Raises:
        InputError: there is no such layer.
    """
    if layer not in decomposition.manifest.names:
        raise decomposition.no_layer(layer)
    with sole_writer(decomposition.folder):
        edits = _edits(decomposition)
        _write(decomposition, {**edits, layer: replace(edits.get(layer, NO_EDITS), is_paint_clipped=is_clipped)})


def _edits(decomposition: Decomposition) -> Edits:
    return read_edits(decomposition.folder, decomposition.manifest.names)


def _write(decomposition: Decomposition, edits: dict[str, Stack]) -> None:
    write_edits(decomposition.folder, edits, decomposition.manifest.names)


def _with_ends(insert: Insert, decomposition: Decomposition) -> Insert:
    """Let fades begin and end with the shot, or with the movie, where the insert has no range of its own."""
    source = decomposition.manifest.source
    begin = max(source.first, insert.start) if insert.count > 1 else source.first
    return replace(
        insert,
        first=begin if insert.fade_in and insert.first is None else insert.first,
        last=source.last if insert.fade_out and insert.last is None else insert.last,
    )


def _find(decomposition: Decomposition, edits: Edits, name: str) -> tuple[str, Insert]:
    known = inserts(edits)
    if name not in known:
        hint = f"The inserts are {', '.join(known)}." if known else "Insert a picture with nvd insert."
        raise InputError(f"There is no insert {name!r}", where=edits_path(decomposition.folder), hint=hint)
    return known[name]


def _corners(
    decomposition: Decomposition, layer: str, source: Path, points_px: Points | None, frame: int | None
) -> Corners:
    if layer not in decomposition.manifest.names:
        raise decomposition.no_layer(layer)
    if points_px is None:
        return corners_in_middle(decomposition, layer, first_picture(source))
    if not _is_convex(points_px):
        message = "The corners are not those of a picture: they lie on a line, or its sides cross"
        raise InputError(message, where=decomposition.folder, hint=f"Name them in this order: {', '.join(CORNERS)}.")
    if frame is None:
        return corners_on_atlas(points_px, size_of(decomposition.covered(layer)))
    return corners_on_shot(decomposition, layer, frame, points_px)


def _is_convex(points: Points) -> bool:
    """Whether points are the corners of a convex quadrilateral, one after the other."""
    if len(points) != len(CORNERS):
        return False
    around = [*points, *points[:2]]
    turns = [
        (x1 - x0) * (y2 - y1) - (y1 - y0) * (x2 - x1)
        for (x0, y0), (x1, y1), (x2, y2) in zip(around, around[1:], around[2:], strict=False)
    ]
    return min(turns) > 0 or max(turns) < 0


def _free_name(decomposition: Decomposition, edits: Edits, name: str, source: Path) -> str:
    """Check a name, or derive a free one from the file's."""
    folder = decomposition.folder
    taken = {one.casefold() for one in inserts(edits)} | {
        path.stem.casefold() for path in insert_path(folder, "x", "").parent.glob("*")
    }
    if name:
        if not LAYER_NAME.fullmatch(name):
            hint = "Use letters, digits, - and _, and a letter first."
            raise InputError(f"{name!r} is no name for an insert", where=folder, hint=hint)
        if name.casefold() in taken:
            raise InputError(
                f"There is an insert {name} already, or its picture", where=folder, hint="Choose another name."
            )
        return name
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", source.stem.partition(".")[0]).strip("_-")[:30]
    stem = stem if LAYER_NAME.fullmatch(stem) else f"insert_{stem}".rstrip("_")
    candidates = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(one for one in candidates if one.casefold() not in taken)
