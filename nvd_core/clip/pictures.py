"""One picture file into an array. PNG, JPEG and TIFF through OpenCV, EXR through OpenEXR."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Num, Shaped, UInt8

from nvd_core.errors import InputError
from nvd_core.exr import read_exr
from nvd_core.folder import atomic

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr")

_LAST_BYTES = {".png": b"IEND", ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
"""What a whole file ends with: decoders fill a truncated one with grey and say nothing."""


_PNG = b"\x89PNG\r\n\x1a\n"


def read_picture(path: Path) -> Num[np.ndarray, "height width chan"]:
    """Channels in the order R, G, B, A (or one grey), in the file's own depth.

    Raises:
        InputError: the file is missing, truncated or no picture.
    """
    try:
        return _read_exr(path) if path.suffix.lower() == ".exr" else _read_coded(path)
    except FileNotFoundError:
        raise InputError("The picture is missing", where=path) from None
    except OSError as error:
        raise InputError(f"The picture cannot be read: {error.strerror or error}", where=path) from error


def read_rgb(path: Path) -> Num[np.ndarray, "height width 3"]:
    """Colour of a picture without its alpha; grey is repeated.

    Raises:
        InputError: see :func:`read_picture`; or a value is not finite.
    """
    picture = read_picture(path)
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise InputError("The picture holds values that are not numbers", where=path, hint="Write it again.")
    colour = picture[..., :3] if picture.shape[2] >= 3 else np.repeat(picture[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour)


def _read_coded(path: Path) -> Num[np.ndarray, "height width chan"]:
    data = path.read_bytes()  # not imread, which cannot open every path on Windows
    whole = data and _LAST_BYTES.get(path.suffix.lower(), b"") in data[-1024:]
    coded = np.frombuffer(_without_exif(data), np.uint8)
    picture = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED) if whole else None
    if picture is None:
        raise InputError("The picture is damaged, or is no picture", where=path, hint="Export it again.")
    if picture.dtype not in (np.uint8, np.uint16, np.float32):
        raise InputError(
            f"Pictures of {picture.dtype} are not supported", where=path, hint="Use 8 or 16 bit, or float."
        )
    if picture.ndim == 2:
        return picture[..., None]
    order = [2, 1, 0, 3][: picture.shape[2]] if picture.shape[2] >= 3 else [0]
    return picture[..., order]


def _without_exif(data: bytes) -> bytes:
    """A PNG without its Exif chunks: Blender writes two, and libpng complains of that on the terminal."""
    at = len(_PNG)
    while data.startswith(_PNG) and at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            data = data[:at] + data[at + 12 + length :]
        else:
            at += 12 + length
    return data


def _read_exr(path: Path) -> Num[np.ndarray, "height width chan"]:
    header, channels = read_exr(path)
    names = [name for name in "RGBA" if name in channels] or [name for name in "Y" if name in channels]
    if not names:
        found = ", ".join(sorted(channels)[:8])
        raise InputError(f"The EXR has no plain R, G, B (it has {found})", where=path)
    return _to_display_window(np.stack([channels[name] for name in names], axis=-1), header)


def _to_display_window(
    picture: Shaped[np.ndarray, "rows columns chan"], header: dict[str, object]
) -> Shaped[np.ndarray, "height width chan"]:
    """Crop overscan away and pad a cropped data window: frames are the display window."""
    (data_x0, data_y0), _ = (tuple(int(value) for value in corner) for corner in header["dataWindow"])  # type: ignore[union-attr]
    (x0, y0), (x1, y1) = (tuple(int(value) for value in corner) for corner in header["displayWindow"])  # type: ignore[union-attr]
    height, width = y1 - y0 + 1, x1 - x0 + 1
    left, top = data_x0 - x0, data_y0 - y0
    if (left, top) == (0, 0) and picture.shape[:2] == (height, width):
        return picture
    out = np.zeros((height, width, picture.shape[2]), picture.dtype)
    rows = slice(max(0, top), min(height, top + picture.shape[0]))
    columns = slice(max(0, left), min(width, left + picture.shape[1]))
    out[rows, columns] = picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return out


def write_png(path: Path, picture: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write an 8-bit RGB picture, whole or not at all."""
    with atomic(path) as temporary:
        _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        temporary.write_bytes(data.tobytes())
