"""Where the worker's Python is, and how it is called. Its packages never come into Blender's process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import bpy

from nvd_core.errors import SetupError

from . import compat, platforms
from .private_engine import PrivateEngine

PYTHON_VARIABLE: Final = "NVD_PYTHON"
"""Environment variable that names the worker's Python, for farms and where there are no preferences."""


def private() -> PrivateEngine:
    """The environment that Install Engine makes; each Blender has its own, as its Python is in it."""
    major, minor = bpy.app.version[:2]
    return PrivateEngine(platforms.engine_folder(compat.extension_folder(__package__), f"{major}.{minor}"))


def worker_python() -> Path:
    """The Python that has nvd_core's engine: the chosen one, else the private one, else what NVD_PYTHON names.

    Raises:
        SetupError: there is none, or the file is not there.
    """
    if chosen := chosen_python():
        return chosen
    engine = private()
    if engine.contents():
        return engine.python
    if named := os.environ.get(PYTHON_VARIABLE, ""):
        return _existing(named)
    raise SetupError("No engine is installed", hint="Press Install Engine in the extension's preferences.")


def chosen_python() -> Path | None:
    """The Python that the preferences name, if they name one.

    Raises:
        SetupError: it is not there.
    """
    addon = bpy.context.preferences.addons.get(__package__)
    return _existing(addon.preferences.python) if addon and addon.preferences.python else None


def worker_command(job_file: Path, folder: Path, *, resume: bool) -> list[str]:
    """The program that decomposes.

    Raises:
        SetupError: there is no engine.
    """
    return [str(worker_python()), "-m", "nvd_core", "worker", str(job_file), str(folder)] + ["--resume"] * resume


def _existing(named: str) -> Path:
    path = Path(bpy.path.abspath(named))
    if not path.is_file():
        raise SetupError("The engine's Python is not there", where=path, hint="Name another one in the preferences.")
    return path
