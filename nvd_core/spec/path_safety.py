"""Refuse links, pipes and devices in a decomposition folder: only plain files in plain folders are read and written.

A folder may come from anybody. A link in it could lead reading or writing outside, and a pipe would block the reader.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from nvd_core.spec.errors import InputError
from nvd_core.spec.exporters import EXPORTERS

_NAMES: Final = (
    "manifest.json", "atlas", "frames", "plate", "channels", "masks", "report", "checkpoint", "solution.safetensors",
    "events.jsonl", "begun.json", ".lock", "edits.json", "edits",
)  # fmt: skip

_JUNCTION: Final = 0xA0000003
"""Reparse tag of a junction on Windows: a folder that leads to another one."""


def own_names() -> tuple[str, ...]:
    """Names of all files and folders of a decomposition. Others in its folder belong to somebody else."""
    return (*_NAMES, *EXPORTERS)


def own_files(folder: Path, names: Iterable[str] | None = None) -> Iterator[Path]:
    """List all files below these names in a folder; by default, all files of a decomposition.

    Raises:
        InputError: a link, pipe or device is among them, or a folder cannot be read.
    """
    left = [folder / name for name in (own_names() if names is None else names)]
    while left:
        path = left.pop()
        try:
            info = path.lstat()
            if stat.S_ISLNK(info.st_mode) or getattr(info, "st_reparse_tag", 0) == _JUNCTION:
                raise InputError(
                    f"{path.relative_to(folder)} is a link, which may lead outside its folder",
                    where=folder,
                    hint="Put what it leads to in its place, or take it away.",
                )
            if stat.S_ISDIR(info.st_mode):
                left += path.iterdir()
            elif not stat.S_ISREG(info.st_mode):
                raise InputError(f"{path.relative_to(folder)} is no file", where=folder, hint="Take it away.")
        except (FileNotFoundError, NotADirectoryError):
            continue  # also while another process works there
        except OSError as error:
            raise InputError(
                f"The folder cannot be read: {error.strerror}", where=path, hint="Check its permissions."
            ) from error
        if stat.S_ISREG(info.st_mode):
            yield path


def check_plain(folder: Path, names: Iterable[str] | None = None) -> None:
    """Refuse a folder that contains links, pipes or devices. The folder itself may be a link.

    Raises:
        InputError: see :func:`own_files`.
    """
    for _ in own_files(folder, names):
        pass


def refuse_inside(folder: Path, read: Iterable[Path], names: Iterable[str]) -> None:
    """Refuse an output folder whose files would overwrite the job's input.

    Args:
        folder: of the result.
        read: input files, or folders of input files.
        names: files and folders in it that are written.

    Raises:
        InputError: an input file lies where the result is written.
    """
    places = [(folder / name).resolve() for name in names]
    for path in read:
        if any(path.resolve().is_relative_to(place) for place in places):
            raise InputError(
                "The result would be written over what it is made from",
                where=path,
                hint="Choose another output folder.",
            )
