"""Read the lock files of ``tools/lock_engine.py``, by which Install Engine downloads. Independent of Blender."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple

from nvd_core.spec.errors import SetupError


class Locked(NamedTuple):
    """Locked installation for this system.

    Attributes:
        file: lock file for pip: every package with its version and the hashes of its files.
        megabytes: size of the download, MB.
        packages: names and versions.
    """

    file: Path
    megabytes: float
    packages: tuple[str, ...]

    @property
    def amount(self) -> str:
        """Number of packages and size of the download, in words."""
        return f"{len(self.packages)} packages, {self.megabytes:.0f} MB"


def locked(
    *,
    neural: bool,
    folder: Path = Path(__file__).parents[1],
    system: str = sys.platform,
    machine: str = platform.machine(),
    python: tuple[int, int] = sys.version_info[:2],
) -> Locked:
    """Find the locked installation for a system.

    Raises:
        SetupError: there is none.
    """
    file = folder / ("neural.lock" if neural else "engine.lock")
    here = f"{system} {machine.lower()} {python[0]}.{python[1]}"
    lacking = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(rf"# {re.escape(here)}: (\d+) MB: (.*)", line):
            return Locked(file, float(found[1]), tuple(found[2].split(", ")))
        if found := re.fullmatch(rf"# {re.escape(here)}: no wheel of (.*)", line):
            lacking = f", as {found[1].replace(', ', ' and ')} cannot be had for it"
    what = "engine with torch" if neural else "engine"
    raise SetupError(f"There is no {what} to install for {here}{lacking}", hint="Use an existing Python that has one.")
