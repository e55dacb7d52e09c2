"""Measure disk space: used by a folder, free on its disk, enough for a result."""

from __future__ import annotations

import shutil
from pathlib import Path

from nvd_core.spec.errors import InputError


def bytes_in(folder: Path) -> int:
    """Total size of all files below a folder, bytes; 0 if it does not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def free_bytes(folder: Path) -> int:
    """Free space on the disk of a folder, bytes; the folder need not exist yet.

    Raises:
        InputError: no folder above it exists.
    """
    return shutil.disk_usage(nearest(folder)).free


def nearest(folder: Path) -> Path:
    """Innermost existing folder of a path: the folder itself or one above it.

    Raises:
        InputError: none exists, as on a disk that is disconnected.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
    if there is None:
        raise InputError("The disk is not there", where=folder, hint="Connect it, or choose another place.")
    return there


def check_space(folder: Path, needed_bytes: float, free: float | None = None) -> None:
    """Refuse to begin a job whose result does not fit on the disk.

    Args:
        folder: of the result; need not exist yet.
        needed_bytes: size of the result.
        free: free bytes, if measured already.

    Raises:
        InputError: less is free than is needed.
    """
    free = free_bytes(folder) if free is None else free
    if needed_bytes > free:
        raise InputError(
            f"The disk is full: the result needs about {needed_bytes / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free",
            where=folder,
            hint="Free some space, choose another place, or use fewer frames.",
        )
