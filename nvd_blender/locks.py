"""Files that somebody holds. The system lets go of them when the holder ends, however it ends."""

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
    """Hold a file, made if need be: what :func:`release` wants. None where somebody else holds it.

    Raises:
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT * make, 0o644)
    try:
        _hold(descriptor)
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        return None
    except OSError:
        pass  # a disk without locks: then there are none to respect
    return descriptor


def release(descriptor: int) -> None:
    """Let go."""
    os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody, perhaps this process, holds a file."""
    try:
        descriptor = take(path, make=False)
    except OSError:
        return False
    if descriptor is not None:
        release(descriptor)
    return descriptor is None
