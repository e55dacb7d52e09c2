"""Keep a clip's pictures in a temporary file instead of in memory; the file vanishes with its last user."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import final, overload

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import unwritable

Picture = UInt8[np.ndarray, "height width *chan"] | Float32[np.ndarray, "height width *chan"]


@final
@dataclass
class Pictures:
    """Sequence of pictures of one size in an unnamed file, which the system deletes however the process ends.

    They are read one by one, not memory-mapped: mapped pages count as memory of the process.
    """

    _file: _UnnamedFile
    _shape: tuple[int, ...]
    _kind: np.dtype
    _order: Sequence[int] = range(0)

    @classmethod
    def on_disk(cls, folder: Path, shape: tuple[int, ...], kind: type[np.generic] = np.uint8) -> Pictures:
        """Create an empty sequence on a folder's disk, for pictures of one shape and type."""
        return cls(_UnnamedFile(folder), shape, np.dtype(kind))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all pictures as one array: frames first."""
        return (len(self._order), *self._shape)

    def append(self, picture: Picture) -> None:
        """Append a picture."""
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
        """Read one picture, or select several as a view on the same file."""
        if isinstance(which, int):
            picture = np.empty(self._shape, self._kind)
            self._file.read(self._order[which] * picture.nbytes, picture)
            return picture
        return Pictures(self._file, self._shape, self._kind, [self._order[t] for t in which])

    def __array__(self, *_arguments: object, **_options: object) -> np.ndarray:
        return np.stack(list(self))


@final
@dataclass(frozen=True)
class Halved:
    """Sequence of pictures at half their size, each reduced when it is read, as area means."""

    pictures: Pictures | Halved | UInt8[np.ndarray, "frame height width *chan"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all pictures as one array: frames first."""
        count, height, width, *channels = self.pictures.shape
        return (count, max(1, height // 2), max(1, width // 2), *channels)

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Picture]:
        return (self[t] for t in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Picture: ...
    @overload
    def __getitem__(self, which: Sequence[int]) -> Halved: ...
    def __getitem__(self, which: int | Sequence[int]) -> Picture | Halved:
        """Read one picture, or select several."""
        if isinstance(which, int):
            _, height, width, *_ = self.shape
            return cv2.resize(self.pictures[which], (width, height), interpolation=cv2.INTER_AREA)
        return Halved(self.pictures[which])


class _UnnamedFile:
    """Temporary file without a name, closed with its last user; reads and writes are safe between threads."""

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
                while left:  # a disk that fills up writes a part, and fails at the next call
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
