"""The pictures of masks in a result, and which of them were painted better since they were written.

A picture is written over only if it is what a job has written before, or is about to write: whatever else it is,
somebody has painted it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, final

from nvd_core.errors import InputError
from nvd_core.folder import LAYER_NAME, atomic, sha256, write_json

_NAME: Final = re.compile(rf"({LAYER_NAME.pattern})/\1\.(\d{{4,}})\.png")


def picture_name(layer: str, number: int) -> str:
    """What the mask of a frame is called in the folder of masks."""
    return f"{layer}/{layer}.{number:04d}.png"


@final
@dataclass(frozen=True)
class Record:
    """What is known of the pictures in a folder of masks.

    Attributes:
        folder: where they are.
        plates: digests of the clip's files that they are of, by frame number; of a video under no number.
        asked: digest of all that they follow from; empty until all are written.
        layers: the objects.
        files: digest of every picture as it was written, by its name.
        told: to the user, with them.
        kept: names of those that were painted.
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
        """That of a folder; an empty one if there is none.

        Raises:
            InputError: it cannot be read, so that nobody knows what was painted.
        """
        path = _path(folder)
        if not path.is_file():
            return cls(folder)
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                folder,
                {str(number): str(value) for number, value in known["plates"].items()},
                str(known["asked"]),
                tuple(map(str, known["layers"])),
                {str(name): str(value) for name, value in known["files"].items()},
                tuple({"message": str(one["message"]), "hint": str(one["hint"])} for one in known["told"]),
                tuple(map(str, known["kept"])),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                "The list of masks is damaged, so that it is not known which you have painted",
                where=path,
                hint="Move the folder away, and give those that you have painted as masks.",
            ) from error

    @property
    def is_there(self) -> bool:
        """Whether the folder has one."""
        return _path(self.folder).is_file()

    def write(self) -> None:
        """Keep it, beside the pictures: all that was begun is finished."""
        write_json(_path(self.folder), {name: value for name, value in vars(self).items() if name in _STORED})
        _journal(self.folder).unlink(missing_ok=True)

    def begin(self) -> None:
        """Note that what is there does not belong together until all is written anew."""
        stored = {name: value for name, value in vars(self).items() if name in _STORED}
        write_json(_path(self.folder), stored | {"asked": ""})

    @property
    def names(self) -> set[str]:
        """Of all pictures that jobs have written."""
        return {*self.files, *self.kept, *self._written}

    def painted(self) -> dict[str, dict[int, Path]]:
        """By object and plate number, the pictures that were painted, now or before."""
        found: dict[str, dict[int, Path]] = {}
        for name in sorted(self.names):
            parts = _NAME.fullmatch(name)
            if parts and self.is_painted(name):
                found.setdefault(parts[1], {})[int(parts[2])] = self.folder / name
        return found

    def is_painted(self, name: str, content: bytes = b"") -> bool:
        """Whether a picture is there that is neither what was written nor this content."""
        path = self.folder / name
        if not path.is_file():
            return False
        ours = {self.files.get(name, ""), *self._written.get(name, ()), hashlib.sha256(content).hexdigest()}
        return name in self.kept or sha256(path) not in ours

    def put(self, name: str, content: bytes) -> bool:
        """Write a picture, noted before, so that it is known for ours whatever happens; not over a painted one."""
        if self.is_painted(name, content):
            return False
        path, digest = self.folder / name, hashlib.sha256(content).hexdigest()
        if path.is_file() and sha256(path) == digest:
            return True
        with atomic(path) as temporary:
            temporary.write_bytes(content)
            with _journal(self.folder).open("a", encoding="utf-8") as journal:
                journal.write(f"{digest} {name}\n")
        return True

    def drop(self, names: set[str]) -> None:
        """Take away pictures that are no longer asked for."""
        for name in names:
            if _NAME.fullmatch(name) and not self.is_painted(name):
                (self.folder / name).unlink(missing_ok=True)

    @cached_property
    def _written(self) -> dict[str, set[str]]:
        """By name, digests of what a job that did not end has written."""
        try:
            lines = _journal(self.folder).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return {}
        found: dict[str, set[str]] = {}
        for digest, _, name in (line.partition(" ") for line in lines):
            found.setdefault(name, set()).add(digest)
        return found


_STORED: Final = ("plates", "asked", "layers", "files", "told", "kept")


def _path(folder: Path) -> Path:
    return folder / "masks.json"


def _journal(folder: Path) -> Path:
    return folder / "written.txt"
