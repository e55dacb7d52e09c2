"""Finished parts of unfinished work, so that a killed job goes on where it was.

Every part is the same bytes whether it was computed or read back, which is why a resumed job ends in
the same result. A checkpoint of another job (other clip, masks or settings) is never used.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from nvd_core.folder import atomic, checkpoint_path, write_json

Arrays = dict[str, Shaped[np.ndarray, "..."]]


@final
@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint folder of one job.

    Attributes:
        folder: where the parts lie.
        is_taken_up: whether it is that of an earlier run.
    """

    folder: Path
    is_taken_up: bool

    @classmethod
    def open(cls, folder: Path, fingerprint: str, *, resume: bool) -> Checkpoints:
        """Take up the checkpoints in a decomposition folder, or begin anew where they are of another job."""
        path = checkpoint_path(folder)
        note = path / "job.json"
        same = resume and note.is_file() and _fingerprint(note) == fingerprint
        if not same:
            shutil.rmtree(path, ignore_errors=True)
            write_json(note, {"fingerprint": fingerprint})
        return cls(path, same)

    def load(self, name: str) -> Arrays | None:
        """A part that was finished, or None."""
        return load_arrays(self.folder / f"{name}.safetensors")

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep a finished part."""
        save_arrays(self.folder / f"{name}.safetensors", arrays)

    def discard(self) -> None:
        """The job is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def load_arrays(path: Path) -> Arrays | None:
    """Arrays that were written, or None if they are not there or not whole."""
    try:
        return load_file(path) if path.is_file() else None
    except SafetensorError:
        return None  # the system went down before what was written had reached the disk


def save_arrays(path: Path, arrays: Arrays, metadata: dict[str, str] | None = None) -> None:
    """Write arrays, whole or not at all."""
    with atomic(path) as temporary:
        # Not save_file, which gives the file to its owner alone.
        temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))


def _fingerprint(note: Path) -> str:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
