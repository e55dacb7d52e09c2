"""Change the edits of a result: insert pictures, change and remove them. Every function writes ``edits.json`` once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from nvd_core.image.geometry import size_of
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.insert_pictures import forget_pictures, write_pictures
from nvd_core.result.place import Coverage, corners_in_middle, corners_on_atlas, corners_on_shot
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.conventions import Size
from nvd_core.spec.edits import (
    CORNERS,
    NO_EDITS,
    Corners,
    Edits,
    Insert,
    Keys,
    edits_path,
    inserts,
    keyed,
    read_edits,
    taken_names,
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
        frame: plate number of the frame that the corners are on; a key there keeps them, once there are others.
        name: of the insert; by default the file's.
        values: other fields of :class:`nvd_core.spec.edits.Insert`.

    Raises:
        InputError: there is no such layer or frame, the source cannot be read, or the name is taken or no name.
    """
    written: list[Insert] = []
    try:
        with _changing(decomposition) as edits:
            name = _free_name(decomposition, edits, name, source)
            covered = _covered(decomposition, layer)

            def corners(picture: Size) -> Corners:
                if points_px is None:
                    return corners_in_middle(covered, picture)
                return _corners(decomposition, layer, covered, points_px, frame)

            insert = write_pictures(decomposition.folder, name, source, corners, size_of(covered))
            written.append(insert)
            insert = replace(insert, **{"start": decomposition.manifest.source.first, **values})
            # Where it was pinned is where it stays, once another frame gets a key.
            at = _before(decomposition) if frame is None else float(frame)
            insert = replace(insert, corners=((at, *insert.corners[0][1:]),))
            if len(insert.opacity) == 1:
                insert = replace(insert, opacity=((_before(decomposition), *insert.opacity[0][1:]),))
            stack = edits.get(layer, NO_EDITS)
            edits[layer] = replace(stack, inserts=(*stack.inserts, insert))
    except BaseException:
        for one in written:
            forget_pictures(decomposition.folder, one)
        raise
    return edits[layer].named(name)


def change_insert(
    decomposition: Decomposition,
    name: str,
    points_px: Points | None = None,
    frame: int | None = None,
    key: int | None = None,
    opacity: float | None = None,
    places: int = 0,
    **values: Any,  # noqa: ANN401 (of an insert)
) -> Insert:
    """Change an insert: pin its corners to points of a frame or of the atlas, fade or move it, or set other fields.

    Args:
        decomposition: opened.
        name: of the insert.
        points_px: new corners; see :func:`insert_picture`.
        frame: see :func:`insert_picture`.
        key: frame of a key for corners and opacity; without it they hold in all frames, as those of the only key do.
        opacity: 0 to 1.
        places: that it moves up in the stack of its layer; down if negative.
        values: other fields of :class:`nvd_core.spec.edits.Insert`.

    Raises:
        InputError: there is no such insert or frame, or a value is one that it cannot have.
    """
    with _changing(decomposition) as edits:
        layer, insert = _find(decomposition, edits, name)
        if points_px is not None:
            corners = _corners(decomposition, layer, _covered(decomposition, layer), points_px, frame)
            points = [value for corner in corners for value in corner]
            values["corners"] = _keys(insert.corners, key, points, decomposition)
        if opacity is not None:
            values["opacity"] = _keys(insert.opacity, key, [opacity], decomposition)
        edits[layer] = edits[layer].having(replace(insert, **values)).moved(name, places)
    return edits[layer].named(name)


def delete_key(decomposition: Decomposition, name: str, frame: int) -> Insert:
    """Delete an insert's keys of corners and opacity at a frame.

    Raises:
        InputError: there is no such insert, or no key at this frame.
    """
    with _changing(decomposition) as edits:
        layer, insert = _find(decomposition, edits, name)
        keyed_values = [keys for keys in (insert.corners, insert.opacity) if not _is_constant(keys, decomposition)]
        known = sorted({row[0] for keys in keyed_values for row in keys})
        if frame not in known:
            hint = f"It has keys at {', '.join(f'{one:g}' for one in known)}." if known else "It has no keys."
            raise InputError(f"{name} has no key at frame {frame}", where=edits_path(decomposition.folder), hint=hint)
        corners, opacity = (_unkeyed(keys, frame, decomposition) for keys in (insert.corners, insert.opacity))
        edits[layer] = edits[layer].having(replace(insert, corners=corners, opacity=opacity))
    return edits[layer].named(name)


def remove_insert(decomposition: Decomposition, name: str) -> None:
    """Take an insert out of its stack; its pictures stay in the folder.

    Raises:
        InputError: there is no such insert.
    """
    with _changing(decomposition) as edits:
        layer, _ = _find(decomposition, edits, name)
        edits[layer] = edits[layer].without(name)


def clip_paint(decomposition: Decomposition, layer: str, *, is_clipped: bool) -> None:
    """Choose whether paint on a layer's atlas shows within its outline alone.

    Raises:
        InputError: there is no such layer.
    """
    if layer not in decomposition.manifest.names:
        raise decomposition.no_layer(layer)
    with _changing(decomposition) as edits:
        edits[layer] = replace(edits.get(layer, NO_EDITS), is_paint_clipped=is_clipped)


@contextmanager
def _changing(decomposition: Decomposition) -> Iterator[Edits]:
    """Yield the edits, and write what they have become; no other process writes meanwhile."""
    folder, names = decomposition.folder, decomposition.manifest.names
    with sole_writer(folder):
        edits = read_edits(folder, names)
        yield edits
        for layer, stack in edits.items():
            edits[layer] = replace(stack, inserts=tuple(_with_ends(one, decomposition) for one in stack.inserts))
        write_edits(folder, edits, names)


def _with_ends(insert: Insert, decomposition: Decomposition) -> Insert:
    """Let fades begin and end with the shot, or with the movie, where the insert has no range of its own."""
    source = decomposition.manifest.source
    begin = max(source.first, insert.start) if insert.count > 1 else source.first
    return replace(
        insert,
        first=begin if insert.fade_in and insert.first is None else insert.first,
        last=source.last if insert.fade_out and insert.last is None else insert.last,
    )


def _keys(keys: Keys, frame: int | None, values: Sequence[float], decomposition: Decomposition) -> Keys:
    """Set values at a frame, or in all frames; the first key's values hold in all, too."""
    if frame is None:
        return ((_before(decomposition), *values),)
    return keyed(() if _is_constant(keys, decomposition) else keys, frame, values)


def _unkeyed(keys: Keys, frame: int, decomposition: Decomposition) -> Keys:
    """Delete the key at a frame, if there is one; the last one's values hold in all frames."""
    return tuple(row for row in keys if row[0] != frame) or ((_before(decomposition), *keys[0][1:]),)


def _before(decomposition: Decomposition) -> float:
    """Frame of values that do not change: none of the shot's."""
    return decomposition.manifest.source.first - 1.0


def _is_constant(keys: Keys, decomposition: Decomposition) -> bool:
    """Whether a row is no key, but a value that does not change: it is the only one, and before the shot."""
    return len(keys) == 1 and keys[0][0] < decomposition.manifest.source.first


def _find(decomposition: Decomposition, edits: Edits, name: str) -> tuple[str, Insert]:
    known = inserts(edits)
    if name not in known:
        hint = f"The inserts are {', '.join(known)}." if known else "Insert a picture with nvd insert."
        raise InputError(f"There is no insert {name!r}", where=edits_path(decomposition.folder), hint=hint)
    return known[name]


def _covered(decomposition: Decomposition, layer: str) -> Coverage:
    if layer not in decomposition.manifest.names:
        raise decomposition.no_layer(layer)
    return decomposition.covered(layer)


def _corners(
    decomposition: Decomposition, layer: str, covered: Coverage, points_px: Points, frame: int | None
) -> Corners:
    """Corners in uv_atlas of points on a frame, or on the atlas."""
    if not _is_convex(points_px):
        message = "The corners are not those of a picture: they lie on a line, or its sides cross"
        raise InputError(message, where=decomposition.folder, hint=f"Name them in this order: {', '.join(CORNERS)}.")
    if frame is None:
        return corners_on_atlas(points_px, size_of(covered))
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
    taken = {one.casefold() for one in {*inserts(edits)} | taken_names(folder)}
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
