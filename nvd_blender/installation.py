"""What the preferences' buttons do: install the engine, remove it, check a Python that the user has chosen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import bpy

from nvd_core import __version__
from nvd_core.errors import SetupError

from . import chores, compat, diagnosis, engine, jobs, platforms
from .private_engine import Contents, Step, doctor

WHEELS: Final = Path(__file__).parent / "wheels"
"""What the extension carries: nvd_core as a wheel, and what that needs inside Blender."""

BASE: Final = Path(sys.executable)
"""The Python that runs this: the one that comes with Blender."""

OFFLINE: Final = SetupError(
    "Blender is not allowed to go online",
    hint="Allow Online Access in the preferences under System, or name an offline wheel folder.",
)


def install(*, neural: bool, offline: Path | None) -> chores.Chore:
    """Install the private engine, or bring it up to date.

    Raises:
        NvdError: it cannot be done; see :func:`plan`.
    """
    steps, private = plan(neural=neural, offline=offline), engine.private()
    private.open()
    contents = Contents(version=__version__, base=str(BASE), neural=neural)
    return _start(
        chores.Chore(
            "Installing the engine",
            steps,
            _log(),
            on_done=lambda: private.close(contents),
            expected_mb=platforms.download_mb(neural=neural),
        )
    )


def plan(*, neural: bool, offline: Path | None) -> list[Step]:
    """What an installation would do.

    Raises:
        NvdError: Blender may not go online and there is no folder of wheels, or something is running, or its
            Python cannot make environments.
    """
    if offline is None and not bpy.app.online_access:
        raise OFFLINE
    refuse_while_running()
    return engine.private().install_steps(WHEELS, BASE, neural=neural, offline=offline)


def refuse_while_running() -> None:
    """Nothing is changed under a program that uses it.

    Raises:
        SetupError: a decomposition runs, or another button is not finished.
    """
    if jobs.any_running():
        raise SetupError("A decomposition is running", hint="Wait for it or cancel it.")
    if chores.running():
        raise SetupError(f"{chores.latest().name} is not finished", hint="Wait for it or cancel it.")


def remove() -> chores.Chore:
    """Delete the private engine.

    Raises:
        SetupError: something is running.
    """
    refuse_while_running()
    private = engine.private()
    private.open()
    step = private.removal_step(BASE)
    return _start(chores.Chore("Removing the engine", [step], _log()))


def check() -> chores.Chore:
    """Ask the chosen Python what it lacks.

    Raises:
        SetupError: none is chosen, it is not there, or something is running.
    """
    python = engine.chosen_python()
    if python is None:
        raise SetupError("No Python is chosen", hint="Name one first.")
    step = Step("Checking", doctor(python), fault=diagnosis.fault)
    return _start(chores.Chore("Checking", [step], _log(), success=f"{python} has all that the engine needs."))


def _log() -> Path:
    return compat.extension_folder(__package__) / "engine.log"


def _start(chore: chores.Chore) -> chores.Chore:
    chores.start(chore)
    return chore
