"""A clip's pictures on disk instead of in memory: read when they are looked at, gone when nobody does any more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import final, overload

import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.errors import InputError
from nvd_core.folder import unwritable

Picture = UInt8[np.ndarray, "height width *chan"] | Float32[np.ndarray, "height width *chan"]


@final
@dataclass
class Pictures:
    """Pictures of one size in a nameless file, which the system takes away however the process ends.

    They are read into memory one by one, not mapped: pages that are mapped count as the process's own.
    """

    _file: _Nameless
    _shape: tuple[int, ...]
    _kind: np.dtype
    _order: Sequence[int] = range(0)

    @classmethod
    def on_disk(cls, folder: Path, shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> Pictures:
        """None yet, of such a shape and kind of values, on a folder's disk."""
        return cls(_Nameless(folder), shape, np.dtype(kind))

    @property
    def shape(self) -> tuple[int, ...]:
        """That of an array of all of them."""
        return (len(self._order), *self._shape)

    def append(self, picture: Picture) -> None:
        """Put one more at the end."""
        self._file.write(len(self._order) * picture.nbytes, np.ascontiguousarray(picture))
        self._order = range(len(self._order) + 1)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Picture]:
        return (self[t] for t in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Picture: ...
    @overload
    def __getitem__(self, which: Sequence[int]) -> Pictures: ...
    def __getitem__(self, which: int | Sequence[int]) -> Picture | Pictures:
        """One picture, or some of them as a view."""
        if isinstance(which, int):
            picture = np.empty(self._shape, self._kind)
            self._file.read(self._order[which] * picture.nbytes, picture)
            return picture
        return Pictures(self._file, self._shape, self._kind, [self._order[t] for t in which])

    def __array__(self, *_arguments: object, **_options: object) -> np.ndarray:
        return np.stack(list(self))


class _Nameless:
    """A file that no folder lists, closed with its last user."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise unwritable(folder, error) from error

    def write(self, at: int, data: np.ndarray) -> None:
        try:
            with self._lock:
                self._file.seek(at)
                left = data.data.cast("B")
                while left:  # a disk that fills takes a part, and says so when it is asked again
                    left = left[self._file.write(left) :]
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def read(self, at: int, data: np.ndarray) -> None:
        try:
            with self._lock:
                self._file.seek(at)
                left = data.data.cast("B")
                while left and (count := self._file.readinto(left)):  # pyright: ignore[reportAttributeAccessIssue]
                    left = left[count:]
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        if left:
            raise self._unreadable("a file of them ends early")

    def _unreadable(self, reason: str) -> InputError:
        message = f"Frames that were put aside cannot be read again: {reason}"
        return InputError(message, where=self._folder, hint="Check the disk, and resume.")

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
