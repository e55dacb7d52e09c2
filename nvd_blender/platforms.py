"""The differences between operating systems, all of them. Knows nothing of Blender.

What is said of Windows and macOS comes from their documentation; only Linux has been run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ENGINE_MB: Final = 160
"""What the engine's packages weigh to download, about."""

_TORCH_MB: Final = {"win32": 250, "darwin": 120}
_TORCH_WITH_CUDA_MB: Final = 3000

_CREATE_NEW_PROCESS_GROUP: Final = 0x00000200
_CREATE_NO_WINDOW: Final = 0x08000000

_BLENDERS_OWN: Final = {
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
}
"""What Blender sets for its own libraries would break another Python."""


def python_in(environment: Path, system: str = sys.platform) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if system == "win32" else "bin/python")


def engine_folder(
    extension_folder: Path, name: str, system: str = sys.platform, variables: Mapping[str, str] = os.environ
) -> Path:
    """Where the private environment lies.

    On Windows that is not with the extension: a path may have 260 characters there, of which torch's licences
    need 171 and Blender's folder for extensions 100, and that folder roams with the user from machine to machine.

    Args:
        extension_folder: where the extension may write.
        name: tells the environments of several Blenders apart.
        system: as :data:`sys.platform`.
        variables: of the environment.
    """
    if system == "win32" and variables.get("LOCALAPPDATA"):
        return Path(variables["LOCALAPPDATA"]) / "nvd" / name
    return extension_folder / "engine"


def download_mb(*, neural: bool, system: str = sys.platform) -> int:
    """What an installation downloads, about. For Linux torch comes with the libraries of a graphics card."""
    return ENGINE_MB + neural * _TORCH_MB.get(system, _TORCH_WITH_CUDA_MB)


def own_group(system: str = sys.platform) -> dict[str, int]:
    """Options that start a process in a group of its own: a break in Blender's terminal does not reach it."""
    if system == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}
    return {"process_group": 0}


def end_group(process: subprocess.Popen[str], system: str = sys.platform) -> None:
    """End a process that was started in a group of its own, and all that it has started. Does not wait."""
    if process.poll() is not None:
        return
    if system == "win32":
        subprocess.Popen(["taskkill", "/T", "/F", "/PID", str(process.pid)], **own_group(system))
    else:
        os.killpg(process.pid, signal.SIGKILL)


def environment_for_python(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Blender's environment variables without those meant for Blender alone; text is UTF-8."""
    return {key: value for key, value in variables.items() if key not in _BLENDERS_OWN} | {"PYTHONUTF8": "1"}
