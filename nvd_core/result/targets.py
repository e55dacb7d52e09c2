"""Protect files from rendered frames: never overwrite an input, nor any existing file without ``--replace``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import InputError
from nvd_core.spec.path_safety import own_files
from nvd_core.spec.patterns import files_at


def refuse_over(decomposition: Decomposition, targets: Iterable[Path], more: Collection[Path] = ()) -> None:
    """Refuse targets that are the same file as an input, by whatever path or link.

    Args:
        decomposition: rendered; its files and their sources are inputs.
        targets: files to write; need not exist.
        more: further inputs.

    Raises:
        InputError: a target is a plate, a file of the decomposition, or a file that it was made from.
    """
    there = {key: target for target in targets if (key := _key(target))}
    for path in (*more, *_read(decomposition)) if there else ():
        if (key := _key(path)) and (target := there.get(key)):
            raise InputError(
                f"{path} would be written over, which is read", where=target, hint="Choose another place with -o."
            )


def refuse_there(targets: Collection[Path]) -> None:
    """Refuse targets that exist.

    Raises:
        InputError: one of the targets exists.
    """
    if there := [target for target in targets if os.path.lexists(target)]:
        what = "The file is" if len(targets) == 1 else f"{len(there)} of the {len(targets)} files are"
        raise InputError(
            f"{what} there already",
            where=there[0],
            hint="Choose another place with -o, or write over what is there with --replace.",
        )


def _read(decomposition: Decomposition) -> Iterator[Path]:
    """List all files of a decomposition, and those that it was made from: plates, masks, flow, weights."""
    manifest, folder = decomposition.manifest, decomposition.folder
    yield from decomposition.clip.info.files
    yield from own_files(folder)
    for name in _texts([manifest.settings, *(mask.get("path") for mask in manifest.masks)]):
        for text in filter(None, (name, name.partition(":")[2])):  # the latter of MODEL:PATH
            yield from files_at(folder / text)


def _texts(value: object) -> Iterator[str]:
    """All texts in JSON: whichever setting names a file, now or in a later version, that file is not written over."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _key(path: Path) -> tuple[int, int] | None:
    """Identity of a file whatever its path: device and inode; None if it does not exist."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
