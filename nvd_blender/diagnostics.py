"""What a developer asks for when something went wrong, as one text."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

import bpy

from nvd_core import __version__
from nvd_core.folder import log_path

from .job import Job

_LINES: Final = 50
_BYTES: Final = 1 << 16


def text(job: Job) -> str:
    """Error, versions, and the last that the worker said."""
    events = log_path(job.folder)
    facts = {
        "Job": f"{job.name}, {job.state} at {job.stage}",
        "Error": job.error,
        "Warnings": " ".join(job.warnings),
        "Folder": job.folder,
        "Blender": f"{bpy.app.version_string} ({bpy.app.build_hash.decode(errors='replace')})",
        "Extension": __version__,
        "Engine": job.engine,
        "System": platform.platform(),
    }
    parts = [f"{name}: {fact}" for name, fact in facts.items() if fact]
    for path in (job.record.job_file, job.record.log, events):
        parts += ["", f"{path.name}:", *_tail(path)]
    return "\n".join(parts) + "\n"


def _tail(path: Path) -> list[str]:
    """The last lines of a file, which may be long."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-_LINES:]
    except OSError as error:
        return [f"({error.strerror})"]
