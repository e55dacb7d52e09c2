"""``nvd doctor`` and ``nvd worker``, which :mod:`nvd_core.__main__` runs before the command line is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nvd_core.faces.cli.talk import AsJson, Folder


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what this machine has, and what it lacks."""

    json: AsJson = False


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Decompose for another program: events as JSON lines on standard output. Used by Blender."""

    job: Positional[Annotated[Path, arg(metavar="JOB")]]
    folder: Positional[Folder]
    resume: bool = False
    replace: bool = False
    check: bool = False
