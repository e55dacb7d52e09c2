"""Delete and place files in a folder where an artist may save at the same moment: only our own content is deleted.

A file is first moved aside, then compared by digest, and only then deleted; a new file never overwrites another. So a
file that is saved between two steps is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from nvd_core.spec.folder import sha256

_ASIDE: Final = re.compile(r"\.(?P<name>.+)\.aside")


def take_away(path: Path, ours: Collection[str]) -> bool:
    """Delete a file if its digest is one of ours; return whether the path is free now."""
    aside = path.with_name(f".{path.name}.aside")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return True
    if sha256(aside) not in ours:
        put_back(aside)
        return False
    aside.unlink()
    return not os.path.lexists(path)


def exchange(new: Path, path: Path, ours: str) -> bool:
    """Move a file to the place of one with this digest, which is deleted; return whether that was there and still is.

    Another file that is saved there at this moment stays.
    """
    aside = path.with_name(f".{path.name}.aside")
    path.rename(aside)
    if sha256(aside) != ours:
        put_back(aside)
        return False
    placed = place(new, path)
    aside.unlink()
    return placed


def place(new: Path, path: Path) -> bool:
    """Move a file to a path if that is free; return whether it was."""
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            return False
        new.rename(path)
    else:
        new.unlink()
    return True


def put_back(aside: Path) -> None:
    """Restore a file that :func:`take_away` had moved aside, unless a newer one was saved in its place."""
    if (parts := _ASIDE.fullmatch(aside.name)) and not place(aside, aside.with_name(parts["name"])):
        aside.unlink()
