"""Lock a decomposition folder, so that one process at a time writes to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nvd_core.spec.errors import BusyError
from nvd_core.spec.folder import (
    LOCK,
    begun_path,
    checkpoint_path,
    log_path,
    manifest_path,
    masks_path,
    staged_masks_path,
    sweep,
    unwritable,
)
from nvd_core.spec.mask_record import is_made, tidy
from nvd_core.spec.path_safety import check_plain, own_files
from nvd_core.spec.safe_replace import put_back


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Lock an existing folder, and remove half-written files of a killed writer.

    Raises:
        InputError: another writer holds the lock, the folder cannot be written to, or contains a link.
    """
    check_plain(folder)
    path = folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            "Another job is writing to the folder", where=folder, hint="Wait for it, or choose another."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        sweep(folder)
        for file in own_files(folder):
            put_back(file)
        yield
    finally:
        with suppress(OSError):  # before release: a moment later the file may be another writer's
            path.unlink()
        lock.release()
        if os.name == "nt":  # Windows removes no open file
            with suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Lock a folder, creating it if needed. If the run finishes no part of its work, restore the folder's former state.

    Raises:
        InputError: see :func:`sole_writer`.
    """
    made = _make(folder)
    try:
        with sole_writer(folder):
            try:
                yield
            finally:
                _forget_beginnings(folder)
    finally:
        _unmake(made)


def _forget_beginnings(folder: Path) -> None:
    """Remove the traces of a run that has finished no part of its work."""
    tidy(masks_path(folder))
    tidy(staged_masks_path(folder))
    checkpoint = checkpoint_path(folder)
    if any(checkpoint.rglob("*.safetensors")) or is_made(staged_masks_path(folder)):
        return
    shutil.rmtree(checkpoint, ignore_errors=True)
    with suppress(OSError):  # that the disk cannot be written to has been reported already
        begun_path(folder).unlink(missing_ok=True)
        if not manifest_path(folder).is_file():
            log_path(folder).unlink(missing_ok=True)


def _make(folder: Path) -> list[Path]:
    """Create a folder, and return those that did not exist before, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _unmake(missing)
        raise unwritable(folder, error) from error
    return missing


def _unmake(folders: list[Path]) -> None:
    for path in folders:
        if path.is_dir() and not any(path.iterdir()):
            with suppress(OSError):  # another writer may have it by now
                path.rmdir()
