"""Read and write the pictures of inserts: stills and sequences, with a transparent rim of one pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import SUFFIXES, Picture, read_picture, write_png
from nvd_core.image.colour import display_from_linear, opacity_of, to_linear, to_uint8
from nvd_core.image.exr import rgba_channels, to_half, write_exr
from nvd_core.image.geometry import size_of
from nvd_core.image.sample import resized
from nvd_core.shot.inserts import Pinned
from nvd_core.spec.conventions import Size
from nvd_core.spec.edits import RIM_PX, Corners, Insert, picture_path
from nvd_core.spec.errors import InputError

Premultiplied = Float32[np.ndarray, "rows columns 4"]

_MOST_DENSITY: Final = 1.25


def open_inserts(folder: Path, inserts: Sequence[Insert]) -> Callable[[int], list[Pinned]]:
    """Open a layer's inserts: a function that lists those that a frame shows, bottom first.

    Args:
        folder: of the result.
        inserts: of the layer, bottom first.

    Raises:
        InputError: a still cannot be read, or a picture of a sequence is missing; the function raises it for one of a
            sequence that cannot be read.
    """
    inserts = [one for one in inserts if one.is_visible]
    for one in inserts:
        if missing := next((path for path in one.paths(folder) if not path.is_file()), None):
            hint = "Restore it, or remove the insert and insert its picture again."
            raise InputError(f"A picture of the insert {one.name} is missing", where=missing, hint=hint)
    stills = {one.name: _read(one, folder, one.start) for one in inserts if one.count == 1}

    def shown(number: int) -> list[Pinned]:
        return [
            Pinned(
                stills[one.name] if one.count == 1 else _read(one, folder, number),
                one.corners_at(number),
                strength,
                one.blend,
                one.is_clipped,
            )
            for one in inserts
            if (strength := one.strength(number)) > 0
        ]

    return shown


def _read(insert: Insert, folder: Path, number: int) -> Premultiplied:
    path = insert.path(folder, number)
    picture = read_picture(path)
    if picture.shape[2] != 4 or size_of(picture) != insert.size:
        message = f"The picture of the insert {insert.name} is not the one that was inserted"
        raise InputError(message, where=path, hint="Insert it again.")
    return _premultiplied(picture[..., :3], opacity_of(picture))


def write_pictures(
    folder: Path, name: str, source: Path, corners_for: Callable[[Size], Corners], atlas: Size
) -> Insert:
    """Write the pictures of a new insert, as its own copies, and describe it.

    Pictures finer than their place on the atlas are reduced to a little above its density: a look-up takes the four
    nearest pixels, and would flicker. Pictures of 8 bits are written as PNG, others as EXR.

    Args:
        folder: of the result.
        name: of the insert, of which there is no file yet.
        source: a picture, a video, a folder of pictures or a pattern.
        corners_for: gives the corners, uv_atlas, of a picture by its size.
        atlas: size of the atlas.

    Raises:
        InputError: the source cannot be read.
    """
    pictures, count = _pictures(source)
    first = next(pictures)
    corners = corners_for(size_of(first))
    size = _reduced(size_of(first), corners, atlas)
    suffix = ".png" if first.dtype == np.uint8 else ".exr"
    paths = [picture_path(folder, name, suffix, count, index) for index in range(count)]
    try:
        for path, picture in zip(paths, chain([first], pictures), strict=True):
            _check_size(picture, size_of(first), source)
            _write(path, picture, size)
    except BaseException:
        _remove(paths)
        raise
    return Insert(
        name=name,
        file=paths[0].relative_to(folder).as_posix(),
        width=size.width + 2 * RIM_PX,
        height=size.height + 2 * RIM_PX,
        corners=((0.0, *(value for corner in corners for value in corner)),),
        count=count,
        source=str(source.absolute()),
    )


def _check_size(picture: Picture, first: Size, source: Path) -> None:
    if size_of(picture) != first:
        message = f"A picture of the sequence is {size_of(picture)}, the first is {first}"
        raise InputError(message, where=source, hint="Export them in one size.")


def forget_pictures(folder: Path, insert: Insert) -> None:
    """Delete the pictures of an insert that could not be recorded."""
    _remove([*insert.paths(folder)])


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    if len(paths) > 1:
        with suppress(OSError):
            paths[0].parent.rmdir()


def _pictures(source: Path) -> tuple[Iterator[Picture], int]:
    """Read the pictures of a still, a sequence or a video, one after the other; and their number."""
    if source.suffix.lower() in SUFFIXES and source.is_file():
        return iter([read_picture(source)]), 1
    info = (clip := open_clip(source)).info
    if len(info.files) == info.count:
        return map(read_picture, info.files), info.count
    return iter(clip.frames(info.numbers)), info.count


def _reduced(picture: Size, corners: Corners, atlas: Size) -> Size:
    """Size of a picture that is hardly finer than the atlas at its place."""
    points = np.array(corners, np.float32) * np.array(atlas, np.float32)
    across, down = (
        max(float(np.linalg.norm(points[one] - points[other])) for one, other in sides)
        for sides in (((0, 1), (3, 2)), ((0, 3), (1, 2)))
    )
    scale = min(1.0, _MOST_DENSITY * max(across / picture.width, down / picture.height))
    return Size(max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))


def _write(path: Path, picture: Picture, size: Size) -> None:
    """Write a picture with its rim, reduced to a size."""
    rgb = picture[..., :3] if picture.shape[2] >= 3 else np.repeat(picture[..., :1], 3, axis=2)
    is_coded = path.suffix == ".png"
    if is_coded and picture.dtype == np.uint8 and size_of(picture) == size:
        rgba = np.dstack([rgb, to_uint8(opacity_of(picture))])
    else:
        light = resized(_premultiplied(rgb, opacity_of(picture)), size)
        rgba = _coded(light) if is_coded else to_half(light)
    rim = np.pad(rgba, ((RIM_PX, RIM_PX), (RIM_PX, RIM_PX), (0, 0)))
    if is_coded:
        write_png(path, rim)
    else:
        write_exr(path, rgba_channels(rim))


def _premultiplied(rgb: Picture, opacity: Float32[np.ndarray, "rows columns"]) -> Premultiplied:
    """Linear light, premultiplied, of a picture as it was read: floats are, integers have straight alpha."""
    light = to_linear(rgb) * opacity[..., None] if rgb.dtype.kind == "u" else rgb.astype(np.float32)
    return np.dstack([light, opacity])


def _coded(light: Premultiplied) -> UInt8[np.ndarray, "rows columns 4"]:
    """8 bits, display-encoded, straight alpha."""
    opacity = light[..., 3:]
    colour = np.where(opacity > 0, light[..., :3] / np.where(opacity > 0, opacity, 1), 0)
    return to_uint8(np.concatenate([display_from_linear(colour), opacity], axis=-1))
