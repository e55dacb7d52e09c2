"""Install the engine, remove it, or check the Python of the preferences: the actions of the preferences' buttons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import bpy

from nvd_core import __version__
from nvd_core.spec.errors import SetupError

from ..engine import location, tasks
from ..engine.lockfile import locked
from ..engine.pip_output import Progress
from ..engine.private import Contents, Step, checking_step
from ..host import compat
from . import queue

WHEELS: Final = Path(__file__).parents[1] / "wheels"
"""Wheels in the extension: nvd_core, and its dependencies inside Blender."""

BASE: Final = Path(sys.executable)
"""Blender's own Python, which runs this."""

OFFLINE: Final = SetupError(
    "Blender is not allowed to go online",
    hint="Allow Online Access in the preferences under System, or name an offline wheel folder.",
)


def install(*, neural: bool, offline: Path | None, own_settings: bool = False) -> tasks.Task:
    """Install or update the private engine.

    Raises:
        NvdError: see :func:`plan`.
    """
    steps, private = plan(neural=neural, offline=offline, own_settings=own_settings), location.private()
    private.open()
    contents = Contents(version=__version__, base=str(BASE), neural=neural)
    return _start(
        tasks.Task(
            "Installing the engine",
            steps,
            _log(),
            on_done=lambda: private.close(contents),
            progress=Progress(expected_mb=locked(neural=neural).megabytes),
        )
    )


def plan(*, neural: bool, offline: Path | None, own_settings: bool = False) -> list[Step]:
    """Plan the steps of an installation.

    Raises:
        NvdError: Blender may not go online and there is no folder of wheels; a job or task is running; Blender's
            Python cannot make environments; or no lock covers this system.
    """
    if offline is None and not bpy.app.online_access:
        raise OFFLINE
    refuse_while_running()
    lock = locked(neural=neural).file
    return location.private().install_steps(WHEELS, BASE, lock, offline=offline, own_settings=own_settings)


def refuse_while_running() -> None:
    """Refuse to change the engine while a program uses it.

    Raises:
        SetupError: a job or a task is running.
    """
    if queue.any_running():
        raise SetupError("A decomposition is running", hint="Wait for it or cancel it.")
    tasks.refuse_second()


def remove() -> tasks.Task:
    """Delete the private engine.

    Raises:
        SetupError: a job or a task is running.
    """
    refuse_while_running()
    private = location.private()
    private.open()
    step = private.removal_step(BASE)
    return _start(tasks.Task("Removing the engine", [step], _log()))


def check() -> tasks.Task:
    """Run ``nvd doctor`` in the Python of the preferences.

    Raises:
        SetupError: the field is empty, the file does not exist, or a task is running.
    """
    python = location.chosen_python()
    if python is None:
        raise SetupError("No Python is chosen", hint="Name one first.")
    said = f"{python} has all that the engine needs."
    return _start(tasks.Task("Checking", [checking_step(python)], _log(), success=said))


def _log() -> Path:
    return compat.extension_folder() / "engine.log"


def _start(task: tasks.Task) -> tasks.Task:
    tasks.start(task)
    return task
