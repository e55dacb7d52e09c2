"""The windows of an EXR, from its header. Knows nothing of Blender, which tells neither."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Final

_MAGIC: Final = b"\x76\x2f\x31\x01"
_WINDOWS: Final = {b"dataWindow", b"displayWindow"}
_MOST: Final = 1 << 20
"""Bytes of a header that are looked through; a damaged one never ends."""


def has_own_window(path: Path) -> bool:
    """Whether a picture is an EXR whose data window is not its display window, as far as its header can be read.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            return False
        file.seek(8)  # after the version
        windows: dict[bytes, bytes] = {}
        while file.tell() < _MOST and (name := _text(file)):
            _text(file)  # its type
            length = file.read(4)
            if len(length) < 4:
                return False
            value = file.read(min(_MOST, *struct.unpack("<I", length)))
            if name in _WINDOWS:
                windows[name] = value
    return len(windows) == len(_WINDOWS) and len(set(windows.values())) > 1


def _text(file: IO[bytes]) -> bytes:
    """What there is up to the next zero."""
    text = bytearray()
    while (one := file.read(1)) not in {b"", b"\0"} and len(text) < _MOST:
        text += one
    return bytes(text)
