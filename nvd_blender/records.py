"""What a job leaves on disk until its result is loaded, so that it is found after a crash. Knows nothing of Blender.

A record is a folder: ``job.json``, which the worker reads, ``worker.log``, what it says to a terminal,
``record.json``, and ``lock``, which the Blender that the job belongs to holds. Where Blender has to render masks
first, there is what to render, ``masks.json`` and ``masks.blend``, and, when all are rendered, ``mattes``.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nvd_core.folder import LOCK, checkpoint_path, manifest_path, write_json

from . import locks

MATTES_WANTED: Final = "masks.json"
MATTES: Final = "mattes"


@dataclass
class Record:
    """One job's record.

    Attributes:
        place: the folder of the record.
        name: of the job, shown to the user.
        folder: where its result goes.
        started: when it was asked for, seconds since 1970.
        before_ns: when the manifest was written that lay in the folder before; 0: there was none.
        said: how the job has ended; empty for one that was cut off.
    """

    place: Path
    name: str
    folder: Path
    started: float
    before_ns: int
    said: str = ""
    _held: int | None = None

    @property
    def job_file(self) -> Path:
        """What the worker reads."""
        return self.place / "job.json"

    @property
    def log(self) -> Path:
        """What the worker says to a terminal."""
        return self.place / "worker.log"

    @property
    def lacks_mattes(self) -> bool:
        """Whether masks have to be rendered first."""
        return (self.place / MATTES_WANTED).is_file() and not (self.place / MATTES).is_dir()

    @property
    def is_whole(self) -> bool:
        """Whether the job's result is finished."""
        return _written_ns(self.folder) not in {0, self.before_ns} and not self.has_checkpoint

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is unfinished work to take up."""
        return checkpoint_path(self.folder).is_dir()

    @property
    def told(self) -> str:
        """What there is to say of it when it is found."""
        if self.said:
            return self.said
        if self.is_whole:
            return "It is finished, but not loaded."
        if self.has_checkpoint:
            return "It was cut off. What is finished of it is kept."
        return "It was cut off before anything was finished." if self.log.exists() else "It was waiting in the queue."

    @property
    def is_busy(self) -> bool:
        """Whether a Blender holds it, or somebody still writes to the job's folder."""
        return locks.is_held(self.place / "lock") or locks.is_held(self.folder / LOCK)

    def take(self) -> bool:
        """Hold it; not if another Blender has taken, loaded or forgotten it meanwhile."""
        if self._held is None:
            with suppress(OSError):
                self._held = locks.take(self.place / "lock")
        if self._held is not None and not (self.place / "record.json").is_file():
            self.release()
        return self._held is not None

    def release(self) -> None:
        """Leave it to the next Blender."""
        if self._held is not None:
            locks.release(self._held)
            self._held = None

    def drop_half_mattes(self) -> None:
        """Remove what was rendered of masks, if not all of them were."""
        for path in self.place.glob(f"{MATTES}.*"):
            shutil.rmtree(path, ignore_errors=True)

    def settle(self, said: str) -> None:
        """Note how the job has ended; with nothing said, that it goes on."""
        self.said = said
        self._write()

    def remove(self) -> None:
        """The job's result is loaded, or the job is forgotten. What lies in the job's own folder stays."""
        with suppress(OSError):  # on Windows another Blender may be reading it: it is offered once more, then
            (self.place / "record.json").unlink(missing_ok=True)  # first: then no other Blender finds it
        self.release()
        shutil.rmtree(self.place, ignore_errors=True)

    def _write(self) -> None:
        data = {"name": self.name, "folder": str(self.folder), "started": self.started, "before_ns": self.before_ns}
        write_json(self.place / "record.json", data | {"said": self.said})


def leave(
    root: Path, name: str, folder: Path, job: dict[str, Any], fill: Callable[[Path], object] = lambda _: None
) -> Record:
    """Make the record of a new job, held.

    Args:
        root: where records lie.
        name: shown to the user.
        folder: where the result goes.
        job: as in ``job.toml``.
        fill: adds what else the job needs to the record's folder.

    Raises:
        InputError: the disk is full, or cannot be written to; nothing is left behind then.
    """
    record = Record(root / uuid.uuid4().hex, name, folder, time.time(), _written_ns(folder))
    try:
        write_json(record.job_file, job)
        fill(record.place)
        record._held = locks.take(record.place / "lock")  # noqa: SLF001 (there is no file to look for yet)
        record._write()  # noqa: SLF001
    except BaseException:
        record.remove()
        raise
    return record


def found(root: Path, known: Collection[Path]) -> tuple[list[Record], bool]:
    """The records that nobody works on, oldest first, and whether there are others.

    Args:
        root: where records lie.
        known: places to leave out.
    """
    free, others = [], False
    for path in root.glob("*/record.json"):
        record = None if path.parent in known else _read(path)
        if record is None:
            continue
        if record.is_busy:
            others = True
        elif record.said and record.folder.parent.is_dir() and not (record.has_checkpoint or record.is_whole):
            if record.take():
                record.remove()  # it ended, and that was told; there is nothing to take up
        else:
            free.append(record)
    return sorted(free, key=lambda record: record.started), others


def _read(path: Path) -> Record | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        folder, said = Path(data["folder"]), str(data["said"])
        return Record(path.parent, str(data["name"]), folder, float(data["started"]), int(data["before_ns"]), said)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _written_ns(folder: Path) -> int:
    try:
        return manifest_path(folder).stat().st_mtime_ns
    except OSError:
        return 0
