"""Layout of the decomposition folder, and atomic writing of its files.

Every file is written to a temporary file beside its place, and moved there when it is complete. Links in a folder are
never followed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from nvd_core.spec.errors import InputError
from nvd_core.spec.path_safety import own_files, own_names

LAYER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
"""Valid names of layers in compositing programs: no dots, no leading digit."""

LOCK: Final = ".lock"
"""Lock file of the process that writes to the folder."""

_HALF_WRITTEN: Final = re.compile(r"\.(?P<stem>.+)\.[0-9a-f]+\.part(?P<suffix>\.\w+)?")
"""Temporary names of :func:`atomic`."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def manifest_path(folder: Path) -> Path:
    """Path of the manifest."""
    return folder / "manifest.json"


def frame_path(folder: Path, name: str, number: int) -> Path:
    """Path of the multilayer EXR of a frame, by plate number."""
    return folder / "frames" / f"{name}.{number:04d}.exr"


def copy_path(folder: Path, name: str, number: int) -> Path:
    """Path of the copy of a plate, if there is one; see :mod:`nvd_core.export.plates`."""
    return folder / "plate" / frame_path(folder, name, number).name


def channels_path(folder: Path, name: str, number: int) -> Path:
    """Path of a one-pixel EXR with a frame's channels: Blender sets nodes up from it faster than from the frame."""
    return folder / "channels" / frame_path(folder, name, number).name


def checkpoint_path(folder: Path) -> Path:
    """Folder of checkpoints; deleted when the job is done."""
    return folder / "checkpoint"


def staged_path(folder: Path) -> Path:
    """Folder in which a result is completed before it is moved to its place."""
    return checkpoint_path(folder) / "result"


def staged_masks_path(folder: Path) -> Path:
    """Folder of generated masks for a result that replaces another, whose own masks stay until then."""
    return checkpoint_path(folder) / "masks"


def masks_path(folder: Path) -> Path:
    """Folder of generated masks, segmented or propagated, with a folder for each object."""
    return folder / "masks"


def masks_record_path(masks: Path) -> Path:
    """Path of the record in a folder of generated masks."""
    return masks / "masks.json"


def report_path(folder: Path) -> Path:
    """Folder of the report."""
    return folder / "report"


def solution_path(folder: Path) -> Path:
    """Path of the solution's arrays: maps or networks."""
    return folder / "solution.safetensors"


def staged_log_path(folder: Path) -> Path:
    """Path of the event log of a run that replaces a result, until it is done."""
    return checkpoint_path(folder) / "events.jsonl"


def checkpoint_note_path(folder: Path) -> Path:
    """Path of the fingerprint of the job that the checkpoints belong to."""
    return checkpoint_path(folder) / "job.json"


def held_edits_path(folder: Path) -> Path:
    """Path of the edits as they will lie on the atlases of the result that is being handed over."""
    return checkpoint_path(folder) / "edits.json"


def begun_path(folder: Path) -> Path:
    """Path of the record of a run that has begun; deleted when it is done."""
    return folder / "begun.json"


def log_path(folder: Path) -> Path:
    """Path of the event log of the last run."""
    return folder / "events.jsonl"


def is_ours(folder: Path) -> bool:
    """Whether a folder is a decomposition, finished or not."""
    names = {name for name in contents(folder) if not _HALF_WRITTEN.fullmatch(name)}
    begun = {LOCK, masks_path(folder).name, log_path(folder).name, begun_path(folder).name}
    only_begun = names <= begun and not names.isdisjoint({LOCK, begun_path(folder).name})
    # Other programs, too, have files named manifest.json or checkpoint: one name alone proves nothing.
    is_result = manifest_path(folder).is_file() and (folder / "atlas").is_dir()
    is_unfinished = begun_path(folder).is_file() or checkpoint_note_path(folder).is_file()
    return is_result or is_unfinished or masks_record_path(masks_path(folder)).is_file() or only_begun


def contents(folder: Path) -> set[str]:
    """Names of everything in a folder, except files that file managers create by themselves."""
    return {path.name for path in folder.iterdir()} - {".DS_Store", "Thumbs.db", "desktop.ini"}


def write_json(path: Path, data: object) -> None:
    """Write JSON atomically. Undecodable bytes of a path are written as escapes, which read back the same."""
    with atomic(path) as temporary:
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def atomic(path: Path, move: Callable[[Path, Path], object] = Path.replace) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, moved to ``path`` if the block succeeds, else deleted.

    Args:
        path: of the file; the temporary one has the same suffix.
        move: moves the temporary file; by default over an existing one.

    Raises:
        InputError: the disk is full, or the place cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()  # exclusively, so that no link of that name is followed
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        move(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete temporary files of a killed writer in a decomposition folder."""
    for path in own_files(folder):
        if _HALF_WRITTEN.fullmatch(path.name):
            path.unlink(missing_ok=True)
    sweep_of([folder / name for name in own_names()])  # beside them, not in them


def sweep_of(targets: Collection[Path]) -> None:
    """Delete temporary files of a killed writer of these targets, in folders that hold other files, too."""
    names = {path.name for path in targets}
    for folder in {path.parent for path in targets}:
        for path in folder.glob(".*.part*"):
            half = _HALF_WRITTEN.fullmatch(path.name)
            if half and half["stem"] + (half["suffix"] or "") in names:
                path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> InputError:
    """Error for a write that failed."""
    if error.errno in _FULL:
        return InputError("The disk is full", where=path, hint="Free some space, and resume.")
    reason = error.strerror or str(error)
    return InputError(f"The file cannot be written: {reason}", where=path, hint="Choose another place.")


def sha256(path: Path) -> str:
    """SHA-256 digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
