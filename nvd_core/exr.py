"""EXR files as compositing programs expect them: named channels, half or float, ZIP, nothing lossy."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import OpenEXR
from jaxtyping import Float16, Float32

from nvd_core.errors import InputError
from nvd_core.folder import atomic

_WINDOWS: Final = ("dataWindow", "displayWindow")

_MOST_VALUES: Final = 500_000_000
"""Of all channels together: 2 GB as floats, which is 4K with 56 passes."""

Pixels = Float16[np.ndarray, "height width"] | Float32[np.ndarray, "height width"]


def write_exr(path: Path, channels: dict[str, Pixels]) -> None:
    """Write one part with these channels, whole or not at all.

    Raises:
        InputError: the disk is full or the place cannot be written to.
    """
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
    """Header of the first part, and all channels by name: of that part, or of every part, as Blender 5 writes passes.

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
            channels = {name: np.asarray(channel.pixels, np.float32) for name, channel in stored.items()}
            return dict(file.header()), channels
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InputError("The EXR is damaged, or is no EXR", where=path, hint="Export it again.") from error


def _check(header: dict[str, Any], path: Path) -> None:
    """Refuse what cannot be decoded in one piece, before it is tried: all parts and channels are read at once."""
    if header.get("type") not in (OpenEXR.scanlineimage, OpenEXR.tiledimage):
        raise InputError("The EXR is deep, which is not supported", where=path, hint="Export it flat.")
    sizes = [[int(high) - int(low) + 1 for low, high in zip(*header[window], strict=True)] for window in _WINDOWS]
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


def rgba_channels(picture: Float16[np.ndarray, "height width 4"]) -> dict[str, Pixels]:
    """The channels of a picture."""
    return {name: picture[..., index] for index, name in enumerate("RGBA")}
