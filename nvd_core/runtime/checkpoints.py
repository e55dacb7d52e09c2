"""Keep finished parts of a job on disk, so that a killed job resumes.

A part is the same bytes whether it was computed or read back, so a resumed job ends in the same result.
A checkpoint of another job (other clip, masks or settings) is never used; a part that is damaged or of
the wrong shape is computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import (
    atomic,
    checkpoint_note_path,
    checkpoint_path,
    staged_log_path,
    staged_masks_path,
    write_json,
)

_DIGEST: Final = "sha256"

_MOST: Final = 1e9
"""No position, colour or weight is larger; squares of what is overflow on the way."""

AGAIN: Final = "Copy the folder again, or decompose the clip again."
"""What helps where a file of a result is damaged."""

Arrays = dict[str, Shaped[np.ndarray, "..."]]

Kind: TypeAlias = Any
"""Array annotation such as ``Float32[np.ndarray, "height width"]``, which type checkers do not take for a class."""


@final
@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint folder of one job.

    Attributes:
        folder: that holds the parts.
        is_taken_up: whether the job resumes an earlier run.
    """

    folder: Path
    is_taken_up: bool

    @classmethod
    def open(cls, folder: Path, fingerprint: str, *, resume: bool) -> Checkpoints:
        """Resume the checkpoints in a decomposition folder, or clear them if they are another job's."""
        path = checkpoint_path(folder)
        same = resume and cls.fingerprint(folder) == fingerprint
        if not same:
            for old in path.iterdir() if path.is_dir() else ():
                if old not in {staged_masks_path(folder), staged_log_path(folder)}:  # of this run
                    _remove(old)
            write_json(checkpoint_note_path(folder), {"fingerprint": fingerprint})
        return cls(path, same)

    @staticmethod
    def fingerprint(folder: Path) -> str:
        """Fingerprint of the job whose checkpoints lie in a decomposition folder; empty if there are none."""
        try:
            return str(json.loads(checkpoint_note_path(folder).read_text(encoding="utf-8"))["fingerprint"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ""

    def load(self, name: str, /, **kinds: Kind) -> Arrays | None:
        """Load a finished part; None if it is missing or damaged.

        Args:
            name: of the part.
            kinds: annotation of each array that it must hold, by name.
        """
        return load_arrays(self.folder / f"{name}.safetensors", **kinds)

    def save(self, name: str, arrays: Arrays) -> None:
        """Save a finished part."""
        save_arrays(self.folder / f"{name}.safetensors", arrays)


def load_arrays(path: Path, /, **kinds: Kind) -> Arrays | None:
    """Load arrays from safetensors; None if they are missing, damaged, not finite, huge or not of these kinds."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "numpy") as file:
            digest = (file.metadata() or {}).get(_DIGEST)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # the system went down before the data reached the disk; or it is another file
    is_whole = digest == _digest(arrays) and all(isinstance(arrays.get(name), kind) for name, kind in kinds.items())
    floats = [array for array in arrays.values() if array.dtype.kind == "f"]
    is_plausible = all(float(np.abs(array).max(initial=0)) < _MOST for array in floats)  # of NaN none is true
    return arrays if is_whole and is_plausible else None


def read_arrays(path: Path) -> Arrays:
    """Read the arrays of a finished result.

    Raises:
        InputError: they are missing or damaged.
    """
    if (arrays := load_arrays(path)) is None:
        raise InputError("The file of the solution is missing or damaged", where=path, hint=AGAIN)
    return arrays


def check_arrays(arrays: Arrays, kinds: Mapping[str, Kind], path: Path) -> None:
    """Refuse arrays that lack one of these names, or hold it with another type or shape.

    Raises:
        InputError: an array is missing or of another kind.
    """
    if unlike := next((name for name, kind in kinds.items() if not isinstance(arrays.get(name), kind)), None):
        raise InputError(f"The solution is of another decomposition: {unlike} does not fit", where=path, hint=AGAIN)


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Save arrays as safetensors with a digest, atomically."""
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic(path) as temporary:
        # Not save_file, which gives the file to its owner alone.
        temporary.write_bytes(save(arrays, {_DIGEST: _digest(arrays)}))


def _digest(arrays: Arrays) -> str:
    """SHA-256 of names, types, shapes and values: disks flip bits of data that lies long."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
