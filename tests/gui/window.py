"""How to start a Blender 5.2 with its window on a virtual screen, where mouse and keys can be had.

NVD_BLENDER_GUI names a command that does. Else Blender is taken from the path, with xvfb-run, xdotool and ImageMagick's
import; else from what lies beside the repository.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

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


if __name__ == "__main__":
    try:
        sys.stdout.write(shlex.join(command()))
    except NoWindowError as error:
        sys.exit(f"no Blender with a window: {error}")
