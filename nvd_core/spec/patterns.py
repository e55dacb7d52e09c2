"""Patterns that stand for numbered files: ``shot.####.exr``, or ``shot.%04d.exr``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PLACE: Final = re.compile(r"#+|%0?\d*d")
_LAST_MARKS: Final = re.compile(r"#+(?=[^#]*$)")


def has_number(name: str) -> bool:
    """Whether a file's name holds a place for a number."""
    return bool(_PLACE.search(name))


def shape_of(name: str) -> re.Pattern[str]:
    """Compile a pattern's name to a regular expression whose first group is the number."""
    start, end = _PLACE.split(name, maxsplit=1)
    return re.compile(re.escape(start) + r"(\d+)" + re.escape(end))


def file_of(pattern: Path, number: int) -> Path:
    """File of a number by a pattern with ``#``; the path itself if it has none."""
    return pattern.with_name(_LAST_MARKS.sub(lambda marks: str(number).zfill(len(marks[0])), pattern.name))


def numbered(pattern: Path) -> list[tuple[int, Path]]:
    """List the files that fit a pattern with their numbers, by name; none if its folder is missing."""
    shape, folder = shape_of(pattern.name), pattern.parent
    files = sorted(folder.iterdir()) if os.path.isdir(folder) else []  # noqa: PTH112
    return [(int(match[1]), file) for file in files if (match := shape.fullmatch(file.name))]


def files_at(path: Path) -> Iterator[Path]:
    """List the files of a folder or of a pattern, or the one file itself; none if nothing is there.

    Any text may be a path here: ``os.path`` takes those that are too long, where :class:`Path` raises.
    """
    if os.path.isdir(path):  # noqa: PTH112
        yield from path.iterdir()
    elif os.path.isfile(path):  # noqa: PTH113
        yield path
    elif has_number(path.name):
        yield from (file for _, file in numbered(path) if file.is_file())
