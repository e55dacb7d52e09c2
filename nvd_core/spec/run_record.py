"""Record of the run that works on a folder, written before it begins, so that the next run can resume it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import begun_path, write_json
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.settings import Job, facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Run that has begun and has not finished tidying up.

    Attributes:
        job: digest of the job; empty if there is no such run.
        replaces: whether the run may overwrite a finished result.
        is_done: whether its result has been moved to its place.
        is_taken_up: whether it resumes an earlier run; not stored.
    """

    job: str = ""
    replaces: bool = False
    is_done: bool = False
    is_taken_up: bool = False

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read the record of a folder; an empty one if there is none."""
        try:
            check_plain(folder, [begun_path(folder).name])
            known = json.loads(begun_path(folder).read_text(encoding="utf-8"))
            return cls(job=str(known["job"]), replaces=known["replaces"] is True, is_done=known["is_done"] is True)
        except (InputError, OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls()

    @classmethod
    def of(cls, job: Job, folder: Path, *, resume: bool, replaces: bool) -> RunRecord:
        """Record of a run that begins now, or that resumes the run of the same job in the folder."""
        before = cls.read(folder)
        if resume and before.job == asked(job):
            return replace(before, replaces=before.replaces or replaces, is_taken_up=True)
        return cls(job=asked(job), replaces=replaces)

    def write(self, folder: Path) -> None:
        """Store the record in a folder."""
        write_json(begun_path(folder), {"job": self.job, "replaces": self.replaces, "is_done": self.is_done})


def asked(job: Job) -> str:
    """Digest of a job: equal for equal clip, masks and settings by absolute path, whatever those files contain now."""
    return hashlib.sha256(json.dumps(facts_of(job, os.path.abspath), sort_keys=True).encode()).hexdigest()
