"""Where the worker's Python is, and how it is called. Its packages never come into Blender's process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import bpy

from nvd_core.errors import SetupError

PYTHON_VARIABLE: Final = "NVD_PYTHON"
"""Environment variable that names the worker's Python, for farms and where there are no preferences."""

_BLENDERS_OWN: Final = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
)
"""What Blender sets for its own libraries would break another Python."""


def worker_python() -> Path:
    """The Python that has nvd_core's engine.

    Raises:
        SetupError: none is set, or the file is not there.
    """
    addon = bpy.context.preferences.addons.get(__package__)
    chosen = (addon.preferences.python if addon else "") or os.environ.get(PYTHON_VARIABLE, "")
    if not chosen:
        raise SetupError("No engine is set", hint="Name the Python that has nvd-blender[engine] in the preferences.")
    path = Path(bpy.path.abspath(chosen))
    if not path.is_file():
        raise SetupError("The engine's Python is not there", where=path, hint="Name another one in the preferences.")
    return path


def worker_environment() -> dict[str, str]:
    """Blender's environment without what is meant for Blender alone."""
    return {key: value for key, value in os.environ.items() if key not in _BLENDERS_OWN} | {"PYTHONUTF8": "1"}


def start_worker(job_file: Path, folder: Path, log: Path, *, resume: bool) -> subprocess.Popen[str]:
    """Start a worker in a process group of its own, so that a break in Blender's terminal does not reach it.

    What it says to a terminal goes to the log.
    """
    command = [str(worker_python()), "-m", "nvd_core", "worker", str(job_file), str(folder)]
    group: dict[str, int] = {"process_group": 0}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    try:
        with log.open("wb") as errors:
            return subprocess.Popen(
                command + ["--resume"] * resume,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=worker_environment(),
                encoding="utf-8", errors="replace", **group,
            )  # fmt: skip
    except OSError as error:
        raise SetupError(
            f"The engine's Python cannot be started: {error.strerror}", where=command[0], hint="Name another one."
        ) from error
