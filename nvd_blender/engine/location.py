"""Locate the worker's Python, and compose its command line. Its packages are never loaded into Blender's process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.errors import SetupError

from ..host import compat, platforms
from .private import PrivateEngine, engine_command

PYTHON_VARIABLE: Final = "NVD_PYTHON"
"""Environment variable with the path of the worker's Python, for farms and for Blender without preferences."""


class Places(NamedTuple):
    """Candidates for the worker's Python; collected without access to a disk.

    Attributes:
        chosen: path in the preferences; empty if there is none.
        private: environment that Install Engine makes.
        named: path in NVD_PYTHON; empty if there is none.
    """

    chosen: str
    private: PrivateEngine
    named: str


def places() -> Places:
    """Current candidates."""
    addon = bpy.context.preferences.addons.get(compat.EXTENSION)
    return Places(addon.preferences.python if addon else "", private(), os.environ.get(PYTHON_VARIABLE, ""))


def private() -> PrivateEngine:
    """Environment that Install Engine makes; one per Blender version, as it is built on that Blender's Python."""
    major, minor = bpy.app.version[:2]
    return PrivateEngine(platforms.engine_folder(compat.extension_folder(), f"{major}.{minor}"))


def worker_python(*, neural: bool = False) -> Path:
    """Find the Python with nvd_core's engine; see :func:`python_in`."""
    return python_in(places(), neural=neural)


def python_in(places: Places, *, neural: bool = False) -> Path:
    """Find the Python with nvd_core's engine: that of the preferences, else the private one, else NVD_PYTHON's.

    Args:
        places: candidates.
        neural: whether it must have torch, as far as that is known without starting it.

    Raises:
        SetupError: there is none, its file does not exist, or the private one lacks torch.
    """
    if places.chosen:
        return existing(places.chosen)
    if contents := places.private.contents():
        if neural and not contents.neural:
            hint = "Tick the neural solver in the extension's preferences and press Add torch."
            raise SetupError("The neural solver needs torch, which the engine lacks", hint=hint)
        return places.private.python
    if places.named:
        return existing(places.named)
    raise SetupError("No engine is installed", hint="Press Install Engine in the extension's preferences.")


def chosen_python() -> Path | None:
    """Python of the preferences; None if the field is empty.

    Raises:
        SetupError: the file does not exist.
    """
    chosen = places().chosen
    return existing(chosen) if chosen else None


def full_path(named: str, what: str) -> Path:
    """Check that a path of the preferences or the environment is absolute.

    Raises:
        SetupError: it is relative: the opened .blend, perhaps a stranger's, would decide which program is run.
    """
    if named.startswith("//") or not Path(named).is_absolute():
        hint = "Name it by its full path, which begins at the root of a disk."
        raise SetupError(f"{what} is named relative to the opened file", where=named, hint=hint)
    return Path(named)


def worker_command(job_file: Path, folder: Path, *, resume: bool, replaces: bool, checks: bool = False) -> list[str]:
    """Command line of the worker, with absolute paths; ``checks`` makes it only check the job.

    Raises:
        SetupError: there is no engine.
    """
    flags = ["--resume"] * resume + ["--replace"] * replaces + ["--check"] * checks
    return engine_command(worker_python(), "worker", job_file.absolute(), folder.absolute(), *flags)


def existing(named: str) -> Path:
    """Check that a Python exists, and return its path.

    Raises:
        SetupError: it does not exist, or the path is relative.
    """
    path = full_path(named, "The engine's Python")
    if not path.is_file():
        raise SetupError("The engine's Python is not there", where=path, hint="Name another one in the preferences.")
    return path
