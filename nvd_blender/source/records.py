"""Records of jobs on disk, kept until the result is loaded, so that jobs survive a crash. Independent of Blender.

A record is a folder with ``job.json``, which the worker reads, ``worker.log``, its standard error, ``record.json``,
and ``lock``, held by the Blender that owns the job. For masks that Blender has to rasterise, it holds ``masks.json``
and ``masks.blend``, and, when all are rasterised, ``mattes``.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from nvd_core.spec.folder import LOCK, checkpoint_path, manifest_path, write_json

from ..host import locks

MATTES_WANTED: Final = "masks.json"
MATTES: Final = "mattes"


@dataclass
class Record:
    """Record of one job.

    Attributes:
        place: folder of the record.
        name: of the job, shown to the user.
        folder: of the result.
        started: when the user started it, seconds since 1970.
        before_ns: modification time of the former manifest in the folder, ns; 0 if there was none.
        said: message at the job's end; empty while it runs or if it was interrupted.
        replaces: whether it may overwrite a result in the folder.
    """

    place: Path
    name: str
    folder: Path
    started: float
    before_ns: int
    said: str = ""
    replaces: bool = False
    _held: int | None = None

    @property
    def job_file(self) -> Path:
        """Path of the job file, which the worker reads."""
        return self.place / "job.json"

    @cached_property
    def job(self) -> dict[str, Any]:
        """Job as in ``job.toml``; empty if the file cannot be read."""
        try:
            job = json.loads(self.job_file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return job if isinstance(job, dict) and isinstance(job.get("settings", {}), dict) else {}

    def is_of(self, job: dict[str, Any]) -> bool:
        """Whether the record's job has the same clip and frames."""
        frames = [one.get("settings", {}).get("frames", "") for one in (self.job, job)]
        return self.job.get("clip") == job["clip"] and frames[0] == frames[1]

    @property
    def log(self) -> Path:
        """Path of the log: the worker's standard error."""
        return self.place / "worker.log"

    @property
    def lacks_mattes(self) -> bool:
        """Whether masks have to be rasterised first."""
        return (self.place / MATTES_WANTED).is_file() and not (self.place / MATTES).is_dir()

    @property
    def is_whole(self) -> bool:
        """Whether the job's result is finished."""
        return _written_ns(self.folder) not in {0, self.before_ns} and not self.has_checkpoint

    @property
    def has_checkpoint(self) -> bool:
        """Whether there are checkpoints to resume."""
        return checkpoint_path(self.folder).is_dir()

    @property
    def told(self) -> str:
        """Message about a job that an earlier Blender has left."""
        if self.said:
            return self.said
        if self.is_whole:
            return "It is finished, but not loaded."
        if self.has_checkpoint:
            return "It was cut off. What is finished of it is kept."
        return "It was cut off before anything was finished." if self.log.exists() else "It was waiting in the queue."

    @property
    def is_busy(self) -> bool:
        """Whether a Blender has locked it, or a worker still writes to the job's folder."""
        return locks.is_held(self.place / "lock") or locks.is_held(self.folder / LOCK)

    def take(self) -> bool:
        """Lock it; return False if another Blender has taken, loaded or forgotten it meanwhile."""
        if self._held is None:
            with suppress(OSError):
                self._held = locks.take(self.place / "lock")
        if self._held is not None and not (self.place / "record.json").is_file():
            self.release()
        return self._held is not None

    def release(self) -> None:
        """Unlock it, so that another Blender can take it."""
        if self._held is not None:
            locks.release(self._held)
            self._held = None

    def drop_half_mattes(self) -> None:
        """Delete incompletely rasterised masks."""
        for path in self.place.glob(f"{MATTES}.*"):
            shutil.rmtree(path, ignore_errors=True)

    def renew(self, masks: list[dict[str, Any]], fill: Callable[[Path], object]) -> None:
        """Replace the job's masks; the former ones are deleted when the new ones are written.

        Args:
            masks: as in ``job.toml``.
            fill: see :func:`leave`.

        Raises:
            InputError: the disk is full, or cannot be written to; the record is unchanged then.
        """
        new = self.place / f"{MATTES}.new"  # drop_half_mattes deletes it if this is interrupted
        self.drop_half_mattes()
        try:
            new.mkdir()
            write_json(new / self.job_file.name, self.job | {"masks": masks})
            fill(new)
        except BaseException:
            self.drop_half_mattes()
            raise
        if (self.place / MATTES).is_dir():
            shutil.rmtree(self.place / MATTES)
        written = {path.name for path in new.iterdir()}
        for name in written:
            (new / name).replace(self.place / name)
        for name in {MATTES_WANTED, "masks.blend"} - written:
            (self.place / name).unlink(missing_ok=True)
        new.rmdir()
        vars(self).pop("job", None)  # the cached property

    def settle(self, said: str) -> None:
        """Store the message at the job's end; empty if it goes on."""
        self.said = said
        self._write()

    def remove(self) -> None:
        """Delete the record, when the result is loaded or the job forgotten. The job's folder stays."""
        with suppress(OSError):  # on Windows another Blender may be reading it: the job is then listed once more
            (self.place / "record.json").unlink(missing_ok=True)  # first, so that no other Blender lists it
        self.release()
        shutil.rmtree(self.place, ignore_errors=True)

    def _write(self) -> None:
        data = {"name": self.name, "folder": str(self.folder), "started": self.started, "before_ns": self.before_ns}
        write_json(self.place / "record.json", data | {"said": self.said, "replaces": self.replaces})


def leave(
    root: Path,
    name: str,
    folder: Path,
    job: dict[str, Any],
    fill: Callable[[Path], object] = lambda _: None,
    *,
    replaces: bool = False,
) -> Record:
    """Create and lock the record of a new job.

    Args:
        root: folder of all records.
        name: shown to the user.
        folder: of the result.
        job: as in ``job.toml``.
        fill: adds further files to the record's folder, such as masks to rasterise.
        replaces: see :class:`Record`.

    Raises:
        InputError: the disk is full, or cannot be written to; nothing is left behind then.
    """
    record = Record(root / uuid.uuid4().hex, name, folder, time.time(), _written_ns(folder), replaces=replaces)
    try:
        write_json(record.job_file, job)
        fill(record.place)
        record._held = locks.take(record.place / "lock")  # noqa: SLF001 (take() would miss record.json)
        record._write()  # noqa: SLF001
    except BaseException:
        record.remove()
        raise
    return record


def found(root: Path, known: Collection[Path]) -> tuple[list[Record], bool]:
    """List records that no process works on, oldest first; and whether there are records in use.

    Args:
        root: folder of all records.
        known: records to leave out.
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
                record.remove()  # it ended, the user was told, and there is nothing to resume
        else:
            free.append(record)
    return sorted(free, key=lambda record: record.started), others


def _read(path: Path) -> Record | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        folder, said = Path(data["folder"]), str(data["said"])
        times, replaces = (float(data["started"]), int(data["before_ns"])), data.get("replaces") is True
        return Record(path.parent, str(data["name"]), folder, *times, said, replaces)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _written_ns(folder: Path) -> int:
    try:
        return manifest_path(folder).stat().st_mtime_ns
    except OSError:
        return 0
