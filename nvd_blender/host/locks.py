"""Lock files between processes. The system releases a lock when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _hold(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _hold(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def take(path: Path, *, make: bool = True) -> int | None:
    """Lock a file, created if needed; return its descriptor for :func:`release`, or None if another process has it.

    Raises:
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT * make, 0o644)
    try:
        _hold(descriptor)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError:
        pass  # a file system without locks: nobody can hold one
    return descriptor


def release(descriptor: int) -> None:
    """Release a lock."""
    os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process, perhaps this one, has locked a file."""
    try:
        descriptor = take(path, make=False)
    except OSError:
        return False
    if descriptor is not None:
        release(descriptor)
    return descriptor is None
