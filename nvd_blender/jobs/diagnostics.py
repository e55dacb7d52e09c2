"""Collect diagnostics of a failed job as one text, for a bug report."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

import bpy

from nvd_core import __version__
from nvd_core.spec.errors import shown
from nvd_core.spec.folder import log_path

from .job import Job

_LINES: Final = 50
_BYTES: Final = 1 << 16


def text(job: Job) -> str:
    """Compose error, versions, and the last lines of job, log and events."""
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
    return shown("\n".join(parts)) + "\n"  # it may be pasted into a terminal


def _tail(path: Path) -> list[str]:
    """Last lines of a file of any length."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-_LINES:]
    except OSError as error:
        return [f"({error.strerror})"]
