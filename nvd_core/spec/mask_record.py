"""Record of a result's mask pictures, which tells painted ones from those that jobs have written.

A picture is overwritten only if it is what a job has written before, or is about to write: whatever else it is,
somebody has painted it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME, atomic, masks_record_path, sha256, write_json
from nvd_core.spec.safe_replace import place, take_away
from nvd_core.spec.validation import fits

_NAME: Final = re.compile(rf"({LAYER_NAME.pattern})/\1\.(\d{{4,}})\.png")


def picture_name(layer: str, number: int) -> str:
    """Name of a frame's mask picture within the folder of masks."""
    return f"{layer}/{layer}.{number:04d}.png"


@final
@dataclass(frozen=True)
class Record:
    """Record of the pictures in a folder of masks.

    Attributes:
        folder: of the masks.
        plates: digests of the clip's files, by frame number; of a video, one under the empty text.
        asked: digest of everything that the masks depend on; empty until all are written.
        layers: names of the objects.
        files: digest of every picture as it was written, by its name.
        told: cautions that come with the masks.
        kept: names of painted pictures.
    """

    folder: Path
    plates: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    layers: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    told: tuple[dict[str, str], ...] = ()
    kept: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read the record of a folder; an empty one if there is none.

        Raises:
            InputError: it cannot be read, so that painted pictures are unknown.
        """
        path = masks_record_path(folder)
        if not path.is_file():
            return cls(folder)
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            stored: dict[str, Any] = {name: known[name] for name in _STORED}
            names = {*stored["files"], *stored["kept"]}
            is_ours = all(map(_NAME.fullmatch, names)) and all(map(LAYER_NAME.fullmatch, stored["layers"]))
            if not (is_ours and all(fits(value, _STORED[name]) for name, value in stored.items())):
                raise ValueError  # noqa: TRY301 (told below)
            told = tuple({"message": one["message"], "hint": one["hint"]} for one in stored["told"])
            stored |= {"told": told} | {name: tuple(stored[name]) for name in ("layers", "kept")}
            return cls(folder, **stored)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                "The list of masks is damaged, so that it is not known which you have painted",
                where=path,
                hint="Move the folder away, and give those that you have painted as masks.",
            ) from error

    @property
    def is_there(self) -> bool:
        """Whether the folder has a record."""
        return masks_record_path(self.folder).is_file()

    def is_of(self, plates: Mapping[str, str]) -> bool:
        """Whether the masks are of these plates, in the frames that both have."""
        return all(self.plates.get(number, digest) == digest for number, digest in plates.items())

    def write(self) -> None:
        """Write the finished record beside the pictures."""
        self._store(self.asked)
        self.close()

    def _store(self, asked: str) -> None:
        stored = {name: value for name, value in vars(self).items() if name in _STORED}
        write_json(masks_record_path(self.folder), stored | {"asked": asked})

    def close(self) -> None:
        """Remove the journal of a finished record."""
        if self.asked:
            _journal(self.folder).unlink(missing_ok=True)

    def begin(self) -> None:
        """Mark the record as unfinished, and start a journal of what is written."""
        self._store("")
        lines = [f"{digest} {name}\n" for name, digests in self._written.items() for digest in sorted(digests)]
        with atomic(_journal(self.folder)) as temporary:  # a file of its own, whoever else had the one before
            temporary.write_text("".join(lines), encoding="utf-8")

    @property
    def names(self) -> set[str]:
        """Names of all pictures that jobs have written."""
        return {*self.files, *self.kept, *self._written}

    def painted(self) -> dict[str, dict[int, Path]]:
        """Painted pictures, by object and plate number."""
        pictures: dict[str, dict[int, Path]] = {}
        for name in sorted(self.names):
            parts = _NAME.fullmatch(name)
            if parts and self.is_painted(name):
                pictures.setdefault(parts[1], {})[int(parts[2])] = self.folder / name
        return pictures

    def is_painted(self, name: str, content: bytes = b"") -> bool:
        """Whether a picture is there that somebody has painted: it is neither what jobs wrote nor ``content``."""
        path = self.folder / name
        return path.is_file() and (name in self.kept or sha256(path) not in self._ours(name, content))

    def _ours(self, name: str, content: bytes = b"") -> set[str]:
        """Digests of a picture's contents that are a job's."""
        return {self.files.get(name, ""), *self._written.get(name, ()), hashlib.sha256(content).hexdigest()}

    def put(self, name: str, content: bytes) -> bool:
        """Write a picture, unless a painted one is there; the journal names it first, so that a crash leaves it ours.

        Returns:
            Whether the picture is in place; if not, a painted one is.
        """
        if self.is_painted(name, content):
            return False
        path, digest = self.folder / name, hashlib.sha256(content).hexdigest()
        if path.is_file() and sha256(path) == digest:
            return True
        written = []
        ours = self._ours(name, content)
        with atomic(path, lambda new, _: written.append(take_away(path, ours) and place(new, path))) as temporary:
            temporary.write_bytes(content)
            with _journal(self.folder).open("a", encoding="utf-8") as journal:
                journal.write(f"{digest} {name}\n")
        return written == [True]

    def drop(self, names: set[str]) -> None:
        """Delete pictures that are no longer needed, but for painted ones."""
        for name in names:
            if _NAME.fullmatch(name) and name not in self.kept:
                take_away(self.folder / name, self._ours(name))

    def adopt(self, made: Record) -> set[str]:
        """Move to the masks of another folder, but keep pictures that were painted here.

        Painted pictures of other frames or objects stay in the record, for the next result that has them.

        Returns:
            Names of the pictures that painted ones have kept out.
        """
        painted = {
            picture_name(layer, number): self.files.get(picture_name(layer, number), "")
            for layer, pictures in self.painted().items()
            for number in pictures
        }
        self.begin()
        left = set()
        for name in made.files:
            content = (made.folder / name).read_bytes()
            if not self.put(name, content) and sha256(self.folder / name) != hashlib.sha256(content).hexdigest():
                left.add(name)
        self.drop(self.names - made.files.keys())
        plates = {**self.plates, **made.plates} if painted else made.plates
        kept = tuple(sorted({*made.kept, *painted}))
        files = dict(made.files) | {name: digest for name, digest in painted.items() if name not in made.files}
        replace(made, folder=self.folder, plates=plates, files=files, kept=kept).write()
        return left

    @cached_property
    def _written(self) -> dict[str, set[str]]:
        """Digests that an unfinished job has written, by picture name."""
        try:
            lines = _journal(self.folder).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return {}
        written: dict[str, set[str]] = {}
        for digest, _, name in (line.partition(" ") for line in lines):
            written.setdefault(name, set()).add(digest)
        return written


def is_made(folder: Path) -> bool:
    """Whether a folder holds a finished set of made masks."""
    try:
        return bool(Record.read(folder).asked)
    except InputError:
        return False


@contextmanager
def unless_refused(folder: Path) -> Iterator[None]:
    """Delete the masks made within this context if it ends in an error about one of them, and none is painted.

    After any other error they stay for the next try, as they took minutes.
    """
    were_there = is_made(folder)
    try:
        yield
    except InputError as error:
        is_theirs = Path(error.where).is_relative_to(folder)
        if is_theirs and not were_there and is_made(folder) and not Record.read(folder).painted():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def forget_masks(folder: Path) -> None:
    """Delete the masks of an unfinished job.

    Raises:
        InputError: some of them are painted.
    """
    if folder.is_dir():
        if Record.read(folder).painted():
            raise InputError(
                "The folder holds masks of an unfinished job that you have corrected",
                where=folder,
                hint="Finish that job first, or move them away.",
            )
        shutil.rmtree(folder, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Delete a folder of masks that was begun and never finished, if none of them is painted."""
    try:
        record = Record.read(folder)
    except InputError:
        return  # the next job that needs the masks raises it
    record.close()
    if record.is_there and not (record.asked or record.files or record.painted()):
        shutil.rmtree(folder, ignore_errors=True)


_STORED: Final[dict[str, Any]] = {
    "plates": dict[str, str],
    "asked": str,
    "layers": tuple[str, ...],
    "files": dict[str, str],
    "told": tuple[dict[str, str], ...],
    "kept": tuple[str, ...],
}
"""Fields of the stored record, and their types."""


def _journal(folder: Path) -> Path:
    return folder / "written.txt"
