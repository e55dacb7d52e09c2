"""Fingerprint a job, so that a run resumes the checkpoints of the same job only."""

from __future__ import annotations

import json
from typing import Final

from nvd_core import __version__
from nvd_core.shot import Shot
from nvd_core.spec.settings import Job, facts_of, nowhere

_PARTS: Final = {
    "program": "The program",
    "clip": "The clip",
    "numbers": "The range",
    "masks": "A mask",
    "layers": "An object",
    "flow": "The optical flow",
    "settings": "A setting",
}
"""Parts of a fingerprint, as sentences name them."""


def fingerprint_of(job: Job, shot: Shot) -> str:
    """Fingerprint of a job as JSON: equal for equal program, frames, contents of files, layers and settings."""
    facts = facts_of(job, nowhere)
    own = {"program": __version__, "numbers": list(shot.numbers), "layers": facts["masks"]}
    return json.dumps(own | {"settings": facts["settings"]} | dict(shot.parts), sort_keys=True)


def difference(former: str, now: str) -> str:
    """Say why an earlier run's checkpoints cannot be resumed: the first part in which the fingerprints differ."""
    try:
        before, after = json.loads(former), json.loads(now)
        changed = next((what for name, what in _PARTS.items() if before.get(name) != after.get(name)), "The job")
    except (ValueError, AttributeError):
        return "No part of this job has been solved yet"
    return f"{changed} is not as it was when the job was cut off, so that what was solved does not fit"
