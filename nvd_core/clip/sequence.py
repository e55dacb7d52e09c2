"""Clips of pictures: a folder, a pattern (``shot.####.exr``) or a single picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

from nvd_core.clip.pictures import NAMES, SUFFIXES, read_rgb
from nvd_core.clip.types import ClipInfo, Plate
from nvd_core.image.geometry import size_of
from nvd_core.spec.errors import InputError
from nvd_core.spec.patterns import has_number, numbered

_NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)$", re.DOTALL)
_MINUS = re.compile(r"(^|[\W_])-$")
"""End of the name before a number below zero; after a letter or digit, it is a hyphen."""


def is_sequence(path: Path) -> bool:
    """Whether a path names pictures rather than a video file."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES or is_pattern(path)


def is_pattern(path: Path) -> bool:
    """Whether a path is a pattern that stands for many files; an existing file of that name is none."""
    return has_number(path.name) and not path.is_file()


def safe_name(text: str) -> str:
    """Turn text into a file name: letters, digits, ``_`` and ``-`` only, never empty, short enough for file systems."""
    safe = re.sub(r"[^\w-]+", "_", text).strip("_")[:60]
    return safe.encode()[:180].decode(errors="ignore") or "clip"  # layer, number and more are yet to be added


def list_pictures(
    path: Path, suffixes: tuple[str, ...] = SUFFIXES, names: str = NAMES, *, complete: bool = True
) -> dict[int, Path]:
    """List the files of a folder, a pattern or one picture, by frame number.

    Args:
        path: of the folder, pattern or picture.
        suffixes: of the files that count in a folder.
        names: of their formats, for messages.
        complete: whether a gap in the numbers is an error.

    Raises:
        InputError: there is nothing, or more than one sequence, or a gap in the numbers.
    """
    if path.is_dir():
        files = _only_sequence(path, suffixes, names)
    elif is_pattern(path):
        files = _matching(path)
    elif path.is_file():
        number = _NUMBERED.match(path.stem)
        return {int(number["number"]) if number else 1: path}
    else:
        raise InputError("There is no such clip", where=path, hint="Check the path.")
    files = dict(sorted(files.items()))
    gaps = [range(a + 1, b) for a, b in pairwise(files) if b - a > 1]
    if gaps and complete:
        raise InputError(f"The sequence lacks frames {_spans(gaps)}", where=path, hint="Render them again.")
    return files


def spans(numbers: Ordered[int]) -> str:
    """Write ascending numbers as ranges: ``2, 4-6``."""
    starts = [at for at in range(len(numbers)) if at == 0 or numbers[at] != numbers[at - 1] + 1]
    return _spans([range(numbers[a], numbers[b - 1] + 1) for a, b in pairwise([*starts, len(numbers)])])


def _spans(ranges: Ordered[range]) -> str:
    """Write at most five ranges."""
    shown = [f"{one[0]}" if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in ranges[:5]]
    return ", ".join(shown + (["…"] if ranges[5:] else []))


def _only_sequence(folder: Path, suffixes: tuple[str, ...], names: str) -> dict[int, Path]:
    """List the one picture sequence of a folder."""
    groups: dict[tuple[str, str], list[tuple[int, Path]]] = defaultdict(list)
    pictures = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in suffixes and file.name[0] != "."]
    for file in pictures:
        number = _NUMBERED.match(file.stem)
        if number:
            groups[number["prefix"], file.suffix.lower()].append((int(number["number"]), file))
    if len(pictures) == 1 and not groups:
        return {1: pictures[0]}
    if not groups:
        raise InputError("The folder holds no numbered pictures", where=folder, hint=f"{names} are read.")
    below_zero = next((files for (prefix, _), files in groups.items() if _MINUS.search(prefix)), None)
    if below_zero:
        raise InputError("The frame's number is below zero", where=below_zero[0][1], hint="Number them from 0 up.")
    if len(groups) > 1:
        shown = ", ".join(sorted(f"{prefix}#{suffix}" for prefix, suffix in groups)[:4])
        raise InputError(f"The folder holds several sequences ({shown})", where=folder, hint="Name one as a pattern.")
    return _one_each(next(iter(groups.values())))


def _matching(pattern: Path) -> dict[int, Path]:
    """List the files that match a pattern."""
    found = numbered(pattern)
    if not found:
        raise InputError("No picture fits the pattern", where=pattern, hint="Check the path.")
    return _one_each(found)


def _one_each(files: list[tuple[int, Path]]) -> dict[int, Path]:
    """Index files by their numbers, which must differ in more than leading zeros."""
    found = dict(files)
    for number, file in files:
        if found[number] != file:
            both = f"{found[number].name} and {file.name}"
            raise InputError(f"There are two pictures of frame {number}, {both}", where=file.parent, hint="Keep one.")
    return found


@final
@dataclass(frozen=True)
class Sequence:
    """Clip of one picture a frame."""

    info: ClipInfo

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """See :meth:`nvd_core.clip.Clip.frames`."""
        for number in numbers:
            file = self.info.files[number - self.info.first]
            with self.info.unchanged.reading(file):
                plate = read_rgb(file)
            size = size_of(plate)
            if size != self.info.size:
                raise InputError(f"The frame is {size}, the clip is {self.info.size}", where=file, hint="Use one size.")
            yield plate


def open_sequence(path: Path, fps: float | None) -> Sequence:
    """Open pictures as a clip of the first one's size.

    Raises:
        InputError: see :func:`list_pictures`; or the first picture cannot be read.
    """
    files = list_pictures(path)
    first = next(iter(files))
    plate = read_rgb(files[first])
    stem = files[first].stem
    prefix = stem.rstrip("0123456789").rstrip("._- ") if len(files) > 1 else stem
    return Sequence(
        ClipInfo(
            path=path,
            name=safe_name(prefix or files[first].absolute().parent.name),
            size=size_of(plate),
            fps=fps or 24.0,
            first=first,
            count=len(files),
            files=tuple(files.values()),
            is_linear=plate.dtype.kind == "f",
        )
    )
