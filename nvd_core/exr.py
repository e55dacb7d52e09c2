"""EXR files as compositing programs expect them: named channels, half or float, ZIP, nothing lossy."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from jaxtyping import Float16, Float32

from nvd_core.errors import InputError
from nvd_core.folder import atomic

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
            file.write(str(temporary))
        except RuntimeError as error:  # OpenEXR does not say why
            full = shutil.disk_usage(path.parent).free < 1 << 20
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def read_exr(path: Path) -> tuple[dict[str, Any], dict[str, Float32[np.ndarray, "height width"]]]:
    """Header, and all channels by name.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError("The EXR is missing", where=path, hint="Check the path.")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.asarray(channel.pixels, np.float32) for name, channel in file.channels().items()}
            return dict(file.header()), channels
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError("The EXR is damaged, or is no EXR", where=path, hint="Export it again.") from error


def rgba_channels(picture: Float16[np.ndarray, "height width 4"]) -> dict[str, Pixels]:
    """The channels of a picture."""
    return {name: picture[..., index] for index, name in enumerate("RGBA")}
