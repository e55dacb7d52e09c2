"""The Blenders to test in: NVD_BLENDERS names Pythons that have ``bpy``, separated as in PATH, oldest first."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_ENDS_S = 60
"""Time to end in, once all was seen. Rarely Blender 4.5 as a module never ends: it takes down a condition variable that
a thread of its sound (``delayed_close_thread_run``) still waits for."""

BLENDERS = [Path(path) for path in os.environ.get("NVD_BLENDERS", "").split(os.pathsep) if path]


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path


def seen_in(out: Path, blender: Path, script: str, *arguments: object, cwd: Path | None = None) -> dict[str, Any]:
    """Run a script of this folder in a Blender; what it has written to ``out/seen.json`` is returned."""
    command, seen = [blender, Path(__file__).with_name(script), *map(str, arguments)], out / "seen.json"
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=cwd or out) as process,
    ):
        try:
            while process.poll() is None and not seen.exists():
                time.sleep(0.05)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_S)
        finally:
            process.kill()
        log.seek(0)
        assert seen.is_file(), log.read()[-3000:]
    return json.loads(seen.read_text())
