"""Read and write EXR files for compositing programs: named channels, half or float, lossless ZIP compression."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import OpenEXR
from jaxtyping import Float16, Float32, Num, Shaped

from nvd_core.image.geometry import Box
from nvd_core.spec.errors import InputError, NumericsError
from nvd_core.spec.folder import atomic

_MOST_VALUES: Final = 500_000_000
"""Largest number of values in all channels together: 2 GB as floats, which is 4K with 56 passes."""

HALF_MOST: Final = 65504.0
"""Largest finite half float."""

Pixels = Float16[np.ndarray, "height width"] | Float32[np.ndarray, "height width"]


def write_exr(path: Path, channels: dict[str, Pixels]) -> None:
    """Write channels as a single-part EXR, atomically.

    Raises:
        InputError: the disk is full or the place cannot be written to.
        NumericsError: a value is not finite.
    """
    for name, pixels in channels.items():
        if not np.isfinite(pixels).all():
            raise NumericsError(f"The calculation of {name} did not stay finite", where=path)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic(path) as temporary:
        file = OpenEXR.File(header, {name: np.ascontiguousarray(pixels) for name, pixels in channels.items()})
        try:
            file.write(os.fsencode(temporary))
        except RuntimeError as error:  # OpenEXR does not say why
            full = shutil.disk_usage(path.parent).free < 1 << 20
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def read_exr(
    path: Path, *, every_part: bool = False
) -> tuple[dict[str, Any], dict[str, Float32[np.ndarray, "height width"]]]:
    """Read the first part's header, and all channels by name as 32-bit floats; see :func:`read_stored`."""
    header, channels = read_stored(path, every_part=every_part)
    for name in channels:
        channels[name] = np.asarray(channels[name], np.float32)
    return header, channels


def read_stored(
    path: Path, *, every_part: bool = False
) -> tuple[dict[str, Any], dict[str, Shaped[np.ndarray, "height width"]]]:
    """Read the first part's header, and all channels by name as stored: of that part, or of every part.

    Blender 5 writes each pass as a part of its own. The number of parts is in the header as ``parts``.

    Raises:
        InputError: the file is missing, damaged, deep, or too large to decode.
    """
    if not path.is_file():
        raise InputError("The EXR is missing", where=path, hint="Check the path.")
    name = os.fsencode(path)
    try:
        with OpenEXR.File(name, header_only=True) as file:
            for part in file.parts:
                _check(part.header, path)
        with OpenEXR.File(name, separate_channels=True) as file:
            parts = file.parts if every_part else file.parts[:1]
            stored = {name: channel for part in parts for name, channel in part.channels.items()}
            header = dict(file.header()) | {"parts": len(file.parts)}
            return header, {name: channel.pixels for name, channel in stored.items()}
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error


def is_whole(path: Path) -> bool:
    """Whether an EXR's data window equals its display window, without crop or overscan.

    Raises:
        InputError: see :func:`read_stored`.
    """
    try:
        with OpenEXR.File(os.fsencode(path), header_only=True) as file:
            header = file.parts[0].header
            return window(header, "dataWindow") == window(header, "displayWindow")
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error


def window(header: dict[str, Any], kind: str) -> Box:
    """Data or display window of a header."""
    (x0, y0), (x1, y1) = (tuple(int(value) for value in corner) for corner in header[kind])
    return Box(x0, y0, x1 + 1, y1 + 1)


def _damaged(path: Path) -> InputError:
    return InputError("The EXR is damaged, or is no EXR", where=path, hint="Export it again.")


def _check(header: dict[str, Any], path: Path) -> None:
    """Refuse, before decoding, a part that is deep, subsampled or too large: all channels are decoded at once."""
    if header.get("type") not in (OpenEXR.scanlineimage, OpenEXR.tiledimage):
        raise InputError("The EXR is deep, which is not supported", where=path, hint="Export it flat.")
    sizes = [window(header, kind).size for kind in ("dataWindow", "displayWindow")]
    channels = header["channels"]
    stored = max(width * height for width, height in sizes) * len(channels)
    if min(map(min, sizes)) < 1 or stored > _MOST_VALUES:
        size = "x".join(map(str, max(sizes)))
        raise InputError(
            f"The EXR has {size} pixels of {len(channels)} channels, which is too much to decode",
            where=path,
            hint="Export it smaller, or without passes that are not needed.",
        )
    if any((channel.xSampling, channel.ySampling) != (1, 1) for channel in channels):
        raise InputError("The EXR stores colour at half its size", where=path, hint="Export it as RGB.")


def writable(picture: Num[np.ndarray, "..."]) -> Num[np.ndarray, "..."]:
    """Clip a picture of floats to the range of half floats; pictures of integers stay as they are."""
    return np.clip(picture, -HALF_MOST, HALF_MOST) if picture.dtype.kind == "f" else picture


def to_half(values: Float32[np.ndarray, "..."]) -> Float16[np.ndarray, "..."]:
    """Convert to half floats, clipped to their finite range."""
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    return np.clip(halves, -HALF_MOST, HALF_MOST, out=halves)


def rgba_channels(
    picture: Float16[np.ndarray, "height width 4"] | Float32[np.ndarray, "height width 4"],
) -> dict[str, Pixels]:
    """Split an RGBA picture into its channels."""
    return {name: picture[..., index] for index, name in enumerate("RGBA")}
