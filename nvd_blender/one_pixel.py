"""A picture of one pixel with the channels of a large EXR.

Whenever an Image node is given a multilayer picture, or another layer of it, Blender reads the file, all of it. Where
nodes are built from a picture of one pixel, that takes no time.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

_MAGIC_AND_VERSION_BYTES: Final = 8
_SAMPLE_BYTES: Final = (4, 2, 4)
"""Of the channel types: integer, half, float."""


def write_one_pixel(source: Path, target: Path) -> None:
    """Write a black pixel with the channels of an EXR of one part.

    Raises:
        OSError: one of them cannot be read or written.
        ValueError: the source is none.
    """
    with source.open("rb") as file:
        begin = file.read(_MAGIC_AND_VERSION_BYTES)
        attributes = {}
        while name := _text(file):
            kind, (size,) = _text(file), struct.unpack("<i", file.read(4))
            attributes[name] = (kind, file.read(size))
    one = struct.pack("<4i", 0, 0, 0, 0)  # first and last column and row
    attributes |= {b"dataWindow": (b"box2i", one), b"displayWindow": (b"box2i", one)}
    attributes[b"compression"] = (b"compression", b"\0")
    header = begin
    for name, (kind, value) in attributes.items():
        header += name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value
    header += b"\0"
    pixel = bytes(_pixel_bytes(attributes[b"channels"][1]))
    place = struct.pack("<Q", len(header) + 8)  # of the only line: behind this
    target.write_bytes(header + place + struct.pack("<ii", 0, len(pixel)) + pixel)


def _pixel_bytes(channels: bytes) -> int:
    total, at = 0, 0
    while (end := channels.index(b"\0", at)) > at:
        total += _SAMPLE_BYTES[channels[end + 1]]
        at = end + 17  # type, linearity and steps
    return total


def _text(file: BinaryIO) -> bytes:
    """Up to the next zero."""
    text = b""
    while (byte := file.read(1)) != b"\0":
        if not byte:
            raise ValueError(f"{file.name} is no EXR")
        text += byte
    return text
