"""How to start a Blender 5.2 with its window on a virtual screen, where mouse and keys can be had.

NVD_BLENDER_GUI names a command that does. Else Blender is taken from the path, with xvfb-run, xdotool and ImageMagick's
import; else from what lies beside the repository.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

VARIABLE = "NVD_BLENDER_GUI"
BESIDE = Path(__file__).parents[2].parent / "shared" / "tools" / "blender-gui"
PROGRAMS = ("blender", "xvfb-run", "xdotool", "import")
SCREEN = ["xvfb-run", "-a", "-s", "-screen 0 1600x900x24 +extension GLX", "--"]
WINDOW = ["blender", "--gpu-backend", "opengl", "--window-geometry", "0", "0", "1600", "900"]


class NoWindowError(Exception):
    """There is no such Blender; its text says why."""


def command() -> list[str]:
    """What starts it; Blender's own arguments follow.

    Raises:
        NoWindowError: nothing does.
    """
    if named := os.environ.get(VARIABLE):
        return shlex.split(named)
    if all(map(shutil.which, PROGRAMS)):
        return ["env", "LIBGL_ALWAYS_SOFTWARE=1", *SCREEN, *WINDOW]
    if not BESIDE.is_file():
        raise NoWindowError(f"{VARIABLE} names nothing, {', '.join(PROGRAMS)} are not all on the path, no {BESIDE}")
    if (made := subprocess.run([BESIDE, "install"], capture_output=True, text=True, check=False)).returncode:
        raise NoWindowError(f"{BESIDE} install: {made.stderr.strip()[-300:]}")
    return [str(BESIDE), "run"]


class BlenderDiedError(Exception):
    """It has ended without a word of what was seen; the text is its last."""


def walk(
    command: list[str], script: str, out: Path, name: str, *arguments: str, engine: bool = True, timeout_s: float = 1800
) -> dict[str, Any]:
    """Run a script of this folder in a Blender with its window; what it has written to ``out/NAME.json`` is returned.

    Args:
        command: see :func:`command`, with Blender's own arguments.
        script: its name; it is handed ``arguments`` and the path of ``out/spec.json``.
        out: of log, profile and what is seen.
        name: of what is seen.
        arguments: of the script.
        engine: whether this Python is the extension's engine.
        timeout_s: seconds until it is killed.

    Raises:
        BlenderDiedError: it has written nothing.
    """
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(out / "profile")}
    if engine:
        environment["NVD_PYTHON"] = sys.executable
    root = Path(__file__).parents[2]  # what starts it may show it no other folder
    with (out / f"{name}.log").open("w+") as log:
        subprocess.run(
            [*command, "--python", Path(__file__).with_name(script), "--", *arguments, out / "spec.json"],
            stdout=log, stderr=log, check=False, timeout=timeout_s, cwd=root, env=environment,
        )  # fmt: skip
        log.seek(0)
        words = log.read()
    seen = out / f"{name}.json"
    if not seen.is_file():
        raise BlenderDiedError(words[-3000:])
    found = json.loads(seen.read_text())
    assert "error" not in found, f"{found.get('step')}: {found['error']}"
    assert "Traceback" not in words, words[-3000:]
    return found


if __name__ == "__main__":
    try:
        sys.stdout.write(shlex.join(command()))
    except NoWindowError as error:
        sys.exit(f"no Blender with a window: {error}")
