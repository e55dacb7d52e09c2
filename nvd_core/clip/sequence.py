"""Picture sequences: folders, patterns and single pictures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import final

from nvd_core.clip.pictures import NAMES, SUFFIXES, read_rgb
from nvd_core.clip.types import ClipInfo, Plate
from nvd_core.conventions import Size
from nvd_core.errors import InputError

_PATTERN = re.compile(r"#+|%0?\d*d")
_NUMBERED = re.compile(r"^(?P<prefix>.*?)(?P<number>\d+)$", re.DOTALL)
_MINUS = re.compile(r"(^|[\W_])-$")
"""How a name goes before a number below zero; after a letter or digit, it is a hyphen."""


def is_sequence(path: Path) -> bool:
    """Whether a path names pictures rather than a video file."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES or is_pattern(path)


def is_pattern(path: Path) -> bool:
    """Whether a path stands for many files; a file whose own name looks like that does not."""
    return bool(_PATTERN.search(path.name)) and not path.is_file()


def safe_name(text: str) -> str:
    """A name for files: letters, digits, ``_`` and ``-`` only, never empty, and no longer than file systems bear."""
    safe = re.sub(r"[^\w-]+", "_", text).strip("_")[:60]
    return safe.encode()[:180].decode(errors="ignore") or "clip"  # layer, number and more are yet to be added


def list_pictures(
    path: Path, suffixes: tuple[str, ...] = SUFFIXES, names: str = NAMES, used: range | None = None
) -> dict[int, Path]:
    """Frame number to file of a folder, a pattern or one picture.

    Args:
        path: of these.
        suffixes: of the files that count in a folder.
        names: of their kinds, for users.
        used: numbers that matter, where a gap is none elsewhere; by default all.

    Raises:
        InputError: there is nothing, or more than one sequence, or a gap in the numbers.
    """
    if path.is_dir():
        found = _only_sequence(path, suffixes, names)
    elif is_pattern(path):
        found = _matching(path)
    elif path.is_file():
        number = _NUMBERED.match(path.stem)
        return {int(number["number"]) if number else 1: path}
    else:
        raise InputError("There is no such clip", where=path, hint="Check the path.")
    found = dict(sorted(found.items()))
    missing = [(a + 1, b - 1) for a, b in pairwise(found) if b - a > 1]
    if used is not None:
        missing = [(a, b) for a, b in missing if a < used.stop and b >= used.start]
    if missing:
        shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in missing[:5]) + (", …" if missing[5:] else "")
        raise InputError(f"The sequence lacks frames {shown}", where=path, hint="Render them again.")
    return found


def _only_sequence(folder: Path, suffixes: tuple[str, ...], names: str) -> dict[int, Path]:
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
    start, end = _PATTERN.split(pattern.name, maxsplit=1)
    shape = re.compile(re.escape(start) + r"(\d+)" + re.escape(end))
    folder = pattern.parent
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [(int(match[1]), file) for file in files if (match := shape.fullmatch(file.name))]
    if not found:
        raise InputError("No picture fits the pattern", where=pattern, hint="Check the path.")
    return _one_each(found)


def _one_each(files: list[tuple[int, Path]]) -> dict[int, Path]:
    """Files by their numbers, which must differ in more than leading zeros."""
    found = dict(files)
    for number, file in files:
        if found[number] != file:
            both = f"{found[number].name} and {file.name}"
            raise InputError(f"There are two pictures of frame {number}, {both}", where=file.parent, hint="Keep one.")
    return found


@final
@dataclass(frozen=True)
class Sequence:
    """A clip made of one picture a frame."""

    info: ClipInfo

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """See :meth:`nvd_core.clip.Clip.frames`."""
        for number in numbers:
            file = self.info.files[number - self.info.first]
            with self.info.unchanged.reading(file):
                plate = read_rgb(file)
            size = Size(plate.shape[1], plate.shape[0])
            if size != self.info.size:
                raise InputError(f"The frame is {size}, the clip is {self.info.size}", where=file, hint="Use one size.")
            yield plate


def open_sequence(path: Path, fps: float | None) -> Sequence:
    """Open pictures as a clip; the size is that of the first.

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
            size=Size(plate.shape[1], plate.shape[0]),
            fps=fps or 24.0,
            first=first,
            count=len(files),
            files=tuple(files.values()),
            is_linear=plate.dtype.kind == "f",
        )
    )
