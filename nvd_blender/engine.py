"""Where the worker's Python is, and how it is called. Its packages never come into Blender's process."""

from __future__ import annotations

import os
import subprocess
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


def start_worker(job_file: Path, folder: Path, log: Path, *, resume: bool) -> subprocess.Popen[str]:
    """Start a worker. What it says to a terminal goes to the log."""
    command = [str(worker_python()), "-m", "nvd_core", "worker", str(job_file), str(folder)]
    try:
        with log.open("wb") as errors:
            return subprocess.Popen(
                command + ["--resume"] * resume,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=platforms.environment_for_python(),
                encoding="utf-8", errors="replace", **platforms.own_group(),
            )  # fmt: skip
    except OSError as error:
        raise SetupError(
            f"The engine's Python cannot be started: {error.strerror}", where=command[0], hint="Name another one."
        ) from error


def _existing(named: str) -> Path:
    path = Path(bpy.path.abspath(named))
    if not path.is_file():
        raise SetupError("The engine's Python is not there", where=path, hint="Name another one in the preferences.")
    return path
