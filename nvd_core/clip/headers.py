"""What a coded picture says of its size, read before anything is decoded: a few bytes can promise a huge picture."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from nvd_core.conventions import Size

MOST_PIXELS: Final = 120_000_000
"""Of a frame; the largest cameras have 80 million. Decoded as floats a frame takes 12 to 16 bytes a pixel."""


class Kind(NamedTuple):
    """A kind of coded picture.

    Attributes:
        first: bytes it begins with.
        last: bytes that a whole one ends with, but for what was appended. Decoders fill the rest of a truncated
            picture with grey and say nothing.
        size: what it says of its size; raises IndexError or struct.error where it says nothing.
    """

    first: bytes
    last: bytes
    size: Callable[[bytes], Size]


def _png(data: bytes) -> Size:
    return Size(*struct.unpack_from(">II", data, 16))


def _jpeg(data: bytes) -> Size:
    at = 2
    while True:
        while data[at + 1] == 0xFF:  # filling
            at += 1
        marker, length = struct.unpack_from(">xBH", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Size(width, height)
        at += 2 + max(2, length)


def _tiff(data: bytes) -> Size:
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset, count, entry = ("8xQ", "Q", "HHQQ") if is_big else ("4xI", "H", "HHII")
    (at,) = struct.unpack_from(order + offset, data)
    (entries,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    said: dict[int, int] = {}
    for index in range(min(entries, 1000)):
        place = at + index * struct.calcsize(order + entry)
        tag, kind, _, value = struct.unpack_from(order + entry, data, place)
        if tag in {256, 257}:
            # A short lies in the first bytes of the field, whatever the order of bytes.
            short = struct.unpack_from(order + "H", data, place + struct.calcsize(order + entry[:3]))[0]
            said[tag] = short if kind == 3 else value
    return Size(said.get(256, 0), said.get(257, 0))


KINDS: Final = (
    Kind(b"\x89PNG\r\n\x1a\n", b"IEND", _png),
    Kind(b"\xff\xd8\xff", b"\xff\xd9", _jpeg),
    *(Kind(first, b"", _tiff) for first in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)


def size_of(data: bytes) -> Size | None:
    """The size a whole picture says it has; None for what is cut off, or is no picture of these kinds."""
    kind = next((kind for kind in KINDS if data.startswith(kind.first)), None)
    if kind is None or kind.last not in data[-1024:]:
        return None
    try:
        return kind.size(data)
    except (IndexError, struct.error):
        return None
