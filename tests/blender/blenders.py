"""The Blenders to test in: NVD_BLENDERS names Pythons that have ``bpy``, separated as in PATH, oldest first."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

BLENDERS = [Path(path) for path in os.environ.get("NVD_BLENDERS", "").split(os.pathsep) if path]


def seen_in(out: Path, blender: Path, script: str, *arguments: object, cwd: Path | None = None) -> dict[str, Any]:
    """Run a script of this folder in a Blender; what it has written to ``out/seen.json`` is returned."""
    command = [blender, Path(__file__).with_name(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=cwd or out)
    assert (out / "seen.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads((out / "seen.json").read_text())
