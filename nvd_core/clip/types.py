"""Facts of a clip, and the protocol by which every kind of clip decodes its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Num

from nvd_core.clip.unchanged import Unchanged
from nvd_core.spec.choices.amounts import FrameRange
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution

Plate = Num[np.ndarray, "height width 3"]
"""One frame as it was read: integers are display-encoded sRGB, floats scene-linear Rec.709."""


@dataclass(frozen=True)
class ClipInfo:
    """Facts of a clip, known as soon as it is open.

    Attributes:
        path: what the user named: a file, a folder or a pattern.
        name: a short name for files made from it, safe in any file system.
        size: of the plate.
        fps: frames a second; 24 where the source does not say.
        first: number of the first frame, as the plate counts (files by their names, videos from 1).
        count: number of frames.
        files: every file that the content comes from, in order.
        turned: rotation from stored to upright frames by metadata, degrees counterclockwise; frames are upright.
        is_even: whether all frames last equally long.
        is_linear: whether frames are scene-linear light rather than display-encoded.
        unlike: why Blender shows other pictures than these; empty if it does not.
        cautions: warnings about the file.
        unchanged: guards its files, and its masks', against changes while they are in use.
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
    unlike: str = ""
    cautions: tuple[Caution, ...] = ()
    unchanged: Unchanged = field(default_factory=Unchanged, repr=False, compare=False)

    @property
    def numbers(self) -> range:
        """The plate's frame numbers."""
        return range(self.first, self.first + self.count)

    def file(self, number: int) -> Path:
        """File of a frame."""
        return self.files[number - self.first] if len(self.files) == self.count else self.files[0]


@runtime_checkable
class Clip(Protocol):
    """Source of frames, which are decoded on demand and not kept."""

    @property
    def info(self) -> ClipInfo:
        """Facts of the clip."""
        ...

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """Decode the frames with these plate numbers, one after the other.

        Raises:
            InputError: a frame cannot be decoded or has another size than the first.
        """
        ...


def frames_used(wanted: FrameRange, info: ClipInfo) -> range:
    """Plate numbers of a range of the clip's frames.

    Raises:
        InputError: the range is empty or reaches beyond the clip.
    """
    if wanted.first is None or wanted.last is None:
        return info.numbers
    numbers = range(wanted.first, wanted.last + 1)
    if not numbers or numbers[0] < info.numbers[0] or numbers[-1] > info.numbers[-1]:
        raise InputError(
            f"Frames {wanted} are not in the clip, which has {info.numbers[0]}-{info.numbers[-1]}",
            where=info.path,
        )
    return numbers
