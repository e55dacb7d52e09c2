"""Fingerprint a job, so that a run resumes the checkpoints of the same job only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from nvd_core import __version__
from nvd_core.shot import Shot
from nvd_core.spec.settings import Job, Settings, plain, settings_with_paths

_PARTS: Final = {
    "program": "The program",
    "clip": "The clip",
    "numbers": "The range",
    "masks": "A mask",
    "layers": "The objects",
    "flow": "The optical flow",
    "settings": "A setting",
}
"""Parts of a fingerprint, as sentences name them."""


def fingerprint_of(job: Job, shot: Shot) -> str:
    """Fingerprint of a job as JSON: equal for equal program, frames, contents of files, layers and settings."""
    settings = plain(settings_with_paths(job.settings, _nowhere)) | {"memory": ""}
    layers = [[mask.name, str(mask.path.placed(_nowhere)), mask.locked] for mask in job.masks]
    parts = {"program": __version__, "numbers": list(shot.numbers), "layers": layers, "settings": settings}
    return json.dumps(parts | dict(shot.parts), sort_keys=True)


def difference(former: str, now: str) -> str:
    """Say why an earlier run's checkpoints cannot be resumed: the first part in which the fingerprints differ."""
    try:
        before, after = json.loads(former), json.loads(now)
        changed = next((what for name, what in _PARTS.items() if before.get(name) != after.get(name)), "The job")
    except (ValueError, AttributeError):
        return "No part of this job has been solved yet"
    return f"{changed} is not as it was when the job was cut off, so that what was solved does not fit"


def _nowhere(_: str) -> str:
    """Leave a path out: files count by content, wherever they lie."""
    return ""


def telling(settings: Settings) -> dict[str, Any]:
    """Settings that results depend on, with absolute paths."""
    base = Path.cwd()
    return plain(settings_with_paths(settings, lambda named: str(base / named))) | {"memory": ""}
