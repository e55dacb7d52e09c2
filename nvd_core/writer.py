"""One writer at a time in a decomposition folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nvd_core.errors import InputError
from nvd_core.folder import LOCK, sweep, unwritable


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder that is there, without what a writer that was killed has left half-written.

    Raises:
        InputError: another writer has it, or it cannot be written to.
    """
    path = folder / LOCK
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            "Another job is writing to the folder", where=folder, hint="Wait for it, or choose another."
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        sweep(folder)
        yield
    finally:
        with suppress(OSError):  # while it is held: a moment later the file may be another writer's
            path.unlink()
        lock.release()
        if os.name == "nt":  # which removes no open file, nor one that another writer has opened
            with suppress(OSError):
                path.unlink(missing_ok=True)
