"""All differences between operating systems. Independent of Blender.

Statements about Windows and macOS come from their documentation; only Linux has been tested.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_CREATE_NEW_PROCESS_GROUP: Final = 0x00000200
_CREATE_NO_WINDOW: Final = 0x08000000

_NOT_FOR_OTHERS: Final = ("PYTHON", "__PYVENV_LAUNCHER__", "LD_", "DYLD_", "FORCE_COLOR", "TTY_")
"""Prefixes of environment variables that tell Python or the system's loader where else to find code, or a program to
write into a pipe as for a terminal."""


def python_in(environment: Path, system: str = sys.platform) -> Path:
    """Path of the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if system == "win32" else "bin/python")


def engine_folder(
    extension_folder: Path, name: str, system: str = sys.platform, variables: Mapping[str, str] = os.environ
) -> Path:
    """Folder of the private environment.

    On Windows it is not in the extension's folder: paths are limited to 260 characters there, of which torch's
    licences need 171 and the extension's folder 100; and that folder roams with the user from machine to machine.

    Args:
        extension_folder: that the extension may write to.
        name: of the Blender version, as each has its own environment.
        system: as :data:`sys.platform`.
        variables: of the environment.
    """
    if system == "win32" and variables.get("LOCALAPPDATA"):
        return Path(variables["LOCALAPPDATA"]) / "nvd" / name
    return extension_folder / "engine"


def own_group(system: str = sys.platform) -> dict[str, int]:
    """Options of :class:`subprocess.Popen` for a new process group, so that Ctrl-C in Blender's terminal spares it."""
    if system == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"process_group": 0}


def end_group(process: subprocess.Popen[str], system: str = sys.platform) -> None:
    """Kill a process started with :func:`own_group`, and all its children, without waiting."""
    if process.poll() is not None:
        return
    if system == "win32":
        # By its full path: the system would search the current directory first, perhaps that of a stranger's .blend.
        taskkill = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.Popen([taskkill, "/T", "/F", "/PID", str(process.pid)], **own_group(system))
    else:
        os.killpg(process.pid, signal.SIGKILL)


def environment_for_python(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment variables for another Python: Blender's, without those that load other code; text is plain UTF-8.

    That Python and its children import nothing from their current directory.
    """
    kept = {key: value for key, value in variables.items() if not key.startswith(_NOT_FOR_OTHERS)}
    return kept | {"PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
