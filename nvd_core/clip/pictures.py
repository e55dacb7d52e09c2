"""One picture file into an array: PNG, JPEG and TIFF through OpenCV, EXR through OpenEXR, DPX through PyAV (FFmpeg)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias, cast

import av
import cv2
import numpy as np
from av.error import FFmpegError
from jaxtyping import Num, Shaped, UInt8

from nvd_core.clip.headers import MOST_PIXELS, size_of
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.exr import read_exr
from nvd_core.folder import atomic

Picture: TypeAlias = Num[np.ndarray, "height width chan"]

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx")

NAMES: Final = "PNG, JPEG, TIFF, EXR and DPX"
"""The same for users."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what it has to say of damaged pictures, we say


def read_picture(path: Path) -> Picture:
    """Channels in the order R, G, B, A (or one grey), in the file's own depth.

    Raises:
        InputError: the file is missing, truncated, too large or no picture.
    """
    try:
        if path.exists() and not path.is_file():  # reading it may never end
            raise InputError("The picture is no file", where=path, hint="Name a file.")
        with path.open("rb") as file:
            first = file.read(4)
        read = next((read for magic, read in _READERS.items() if first.startswith(magic)), _read_coded)
        return read(path)
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


def check_size(size: Size, path: Path) -> None:
    """Refuse a frame that would take gigabytes, before it is decoded.

    Raises:
        InputError: it is too large.
    """
    if size.width * size.height > MOST_PIXELS:
        raise InputError(
            f"The picture is {size}, of more than {MOST_PIXELS // 1_000_000} million pixels",
            where=path,
            hint="Export it smaller.",
        )


def _read_coded(path: Path) -> Picture:
    data = path.read_bytes()  # not imread, which cannot open every path on Windows
    size = size_of(data)
    if size:
        check_size(size, path)
    try:
        picture = cv2.imdecode(np.frombuffer(_without_exif(data), np.uint8), cv2.IMREAD_UNCHANGED) if size else None
    except cv2.error:
        picture = None
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


def _read_dpx(path: Path) -> Picture:
    """The codes as they are: whether they are a film scan's densities, its header says too rarely to be believed."""
    decoder = cast("av.VideoCodecContext", av.CodecContext.create("dpx", "r"))
    frame = None
    with suppress(FFmpegError, ValueError):
        frame = next(iter(decoder.decode(av.Packet(path.read_bytes()))), None)
    if frame is None or not frame.format.name.startswith(("rgb", "gbrp", "gray")):
        raise InputError(
            "The DPX is damaged, or of a kind that is not supported", where=path, hint="Export it as RGB of 10 bits."
        )
    stored, bits = frame.to_ndarray(), frame.format.components[0].bits
    if bits not in {8, 16}:
        stored = (stored.astype(np.uint32) * 65535 + 2 ** (bits - 1)) // (2**bits - 1)
    picture = stored.astype(np.uint8 if bits == 8 else np.uint16)
    return picture if picture.ndim == 3 else picture[..., None]


def _read_exr(path: Path) -> Picture:
    header, channels = read_exr(path)
    names = [name for name in "RGBA" if name in channels] or [name for name in "Y" if name in channels]
    if not names or names == ["A"]:
        found = ", ".join(sorted(channels)[:8])
        raise InputError(f"The EXR has no plain R, G, B (it has {found})", where=path)
    return to_display_window(np.stack([channels[name] for name in names], axis=-1), header)


_READERS: Final[dict[bytes, Callable[[Path], Picture]]] = {
    b"\x76\x2f\x31\x01": _read_exr,
    b"SDPX": _read_dpx,
    b"XPDS": _read_dpx,
}
"""By the bytes that a file begins with, as names may lie; all others are of the kinds that OpenCV reads."""


def to_display_window(
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
    rows = slice(max(0, top), max(0, top, min(height, top + picture.shape[0])))
    columns = slice(max(0, left), max(0, left, min(width, left + picture.shape[1])))
    out[rows, columns] = picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return out


def write_png(path: Path, picture: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write an 8-bit RGB picture, whole or not at all."""
    with atomic(path) as temporary:
        _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        temporary.write_bytes(data.tobytes())
