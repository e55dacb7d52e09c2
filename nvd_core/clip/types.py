"""What every clip answers, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num

from nvd_core.clip.unchanged import Unchanged
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.protocol import Caution

Plate = Num[np.ndarray, "height width 3"]
"""One frame as it was read: integers are display-encoded sRGB, floats scene-linear Rec.709."""


@dataclass(frozen=True)
class ClipInfo:
    """The facts of a clip that do not need a frame to be decoded.

    Attributes:
        path: what the user named: a file, a folder or a pattern.
        name: a short name for files made from it, safe in any file system.
        size: of the plate.
        fps: frames a second; 24 where the source does not say.
        first: number of the first frame, as the plate counts (files by their names, videos from 1).
        count: number of frames.
        files: every file that the content comes from, in order.
        turned: degrees, counterclockwise, by which metadata turn what is stored; frames are upright.
        is_even: whether all frames last equally long.
        is_linear: whether frames are scene-linear light rather than display-encoded.
        cautions: what its owner should know of it.
        unchanged: its files as they were when they were first read; its masks' files, too.
    """

    path: Path
    name: str
    size: Size
    fps: float
    first: int
    count: int
    files: tuple[Path, ...] = field(repr=False)
    turned: int = 0
    is_even: bool = True
    is_linear: bool = False
    cautions: tuple[Caution, ...] = ()
    unchanged: Unchanged = field(default_factory=Unchanged, repr=False, compare=False)

    @property
    def numbers(self) -> range:
        """The plate's frame numbers."""
        return range(self.first, self.first + self.count)

    def file(self, number: int) -> Path:
        """The file that a frame is in."""
        return self.files[number - self.first] if len(self.files) == self.count else self.files[0]


@runtime_checkable
class Clip(Protocol):
    """A source of frames. Frames are decoded when they are asked for and not kept."""

    @property
    def info(self) -> ClipInfo:
        """The clip's facts."""
        ...

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """Decode the frames with these plate numbers, one after the other.

        Raises:
            InputError: a frame cannot be decoded or has another size than the first.
        """
        ...


def parse_range(text: str, info: ClipInfo) -> range:
    """The plate frame numbers of ``"A-B"`` or ``"A"``, both ends included; all of them for ``""``.

    Raises:
        InputError: the range is not of that form or reaches beyond the clip.
    """
    if not text:
        return info.numbers
    first, _, last = text.partition("-")
    try:
        wanted = range(int(first), int(last or first) + 1)
    except ValueError:
        raise InputError(f"{text!r} is no frame range", hint="Write it as 1001-1050.") from None
    if not wanted or wanted[0] < info.numbers[0] or wanted[-1] > info.numbers[-1]:
        raise InputError(
            f"Frames {text} are not in the clip, which has {info.numbers[0]}-{info.numbers[-1]}",
            where=info.path,
        )
    return wanted
