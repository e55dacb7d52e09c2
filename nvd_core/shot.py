"""What a solver is given: the clip at working size, and where its layers are."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Num, UInt8

from nvd_core.clip import Clip, ClipInfo, Plate
from nvd_core.clip.colour import to_display, to_uint8
from nvd_core.clip.unchanged import Unchanged
from nvd_core.conventions import Size, working_size
from nvd_core.errors import InputError
from nvd_core.flow.given import GivenFlow, Provider, read_flow
from nvd_core.masks import Matte, Mattes
from nvd_core.parallel import WORKERS, map_ordered
from nvd_core.scratch import Pictures
from nvd_core.steps import spread

_HIDDEN_PX = 16
"""A mask with fewer pixels than this in every frame marks nothing."""


class PlateFrame(NamedTuple):
    """A frame as it was read, with the visible alpha of each layer in it."""

    number: int
    plate: Plate
    mattes: tuple[Matte, ...]


@final
@dataclass(frozen=True)
class Shot:
    """A clip made ready for solving.

    Attributes:
        clip: the plates, read when they are needed.
        mattes: the layers' mattes, likewise.
        numbers: plate numbers of the frames used.
        frames: all of them at working size.
        alphas: for each layer its visible alpha at working size, 0 to 255.
        sha256: of the content of clip, masks and given flow.
        at_once: so many plates at their own size are worked on at a time, which bounds memory.
        flow: between the frames, where it is given.
    """

    clip: Clip
    mattes: Mattes
    numbers: range
    frames: Pictures | UInt8[np.ndarray, "frame height width 3"]
    alphas: tuple[Pictures | UInt8[np.ndarray, "frame height width"], ...]
    sha256: str
    at_once: int = WORKERS
    flow: GivenFlow | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back; the last is the background."""
        return self.mattes.layers

    @property
    def locked(self) -> tuple[bool, ...]:
        """Whether each layer's alpha is its matte as it is."""
        return self.mattes.locked

    @property
    def size(self) -> Size:
        """Working size."""
        return Size(self.frames.shape[2], self.frames.shape[1])

    def plates(self, numbers: Sequence[int]) -> Iterator[PlateFrame]:
        """Frames at the plate's size, one after the other."""
        pairs = zip(numbers, self.clip.frames(numbers), self.mattes.frames(numbers), strict=True)
        return (PlateFrame(*pair) for pair in pairs)


def resized(picture: Num[np.ndarray, "..."], size: Size) -> Num[np.ndarray, "..."]:
    """Area average when it shrinks, linear when it grows."""
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    shrinks = size.width < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def prepare(
    clip: Clip,
    mattes: Mattes,
    numbers: range,
    lines: int,
    scratch: Path | None = None,
    at_once: int = WORKERS,
    flow: Provider | None = None,
) -> Generator[float, None, Shot]:
    """Read every frame and mask once, and all flow that is given.

    Args:
        clip: the plates.
        mattes: the layers' mattes.
        numbers: of the frames used.
        lines: working height.
        scratch: a folder on whose disk the frames lie at working size; by default where the system has such files.
        at_once: see :class:`Shot`.
        flow: who gives it, if anybody does.

    Yields:
        The part that is read, 0 to 1.

    Raises:
        InputError: a frame, mask or flow cannot be read, or a mask marks nothing in any frame.
    """
    size = working_size(clip.info.size, lines)

    def shrink(
        frame: PlateFrame,
    ) -> tuple[UInt8[np.ndarray, "height width 3"], list[UInt8[np.ndarray, "height width"]]]:
        colour = to_uint8(resized(to_display(frame.plate), size))
        return colour, [to_uint8(resized(matte, size)) for matte in frame.mattes]

    folder = scratch or Path(tempfile.gettempdir())
    frames = Pictures.on_disk(folder, (size.height, size.width, 3))
    alphas = [Pictures.on_disk(folder, (size.height, size.width)) for _ in mattes.layers]
    largest = [0] * len(alphas)
    read = 1.0 if flow is None else 0.5
    pairs = zip(numbers, clip.frames(numbers), mattes.frames(numbers), strict=True)
    for colour, shrunk in map_ordered(shrink, (PlateFrame(*pair) for pair in pairs), at_once):
        frames.append(colour)
        for index, one in enumerate(shrunk):
            alphas[index].append(one)
            largest[index] = max(largest[index], int(np.count_nonzero(one > 127)))
        yield read * len(frames) / len(numbers)
    for name, source, most_px in zip(mattes.layers, mattes.sources, largest, strict=False):
        if most_px < _HIDDEN_PX:
            raise InputError(
                f"The mask of {name} is black in every frame, or hidden by the masks before it",
                where=source.path,
                hint="White marks the object.",
            )
    files = files_of(clip.info, numbers)
    for source in mattes.sources:
        files += dict.fromkeys([source.pictures[number] for number in numbers] if source.pictures else [source.path])
    given = None
    if flow is not None:
        files += flow.files
        for file in flow.files:
            clip.info.unchanged.check(file)  # so that what is digested below is what was read
        given = yield from spread(read_flow(flow, frames, folder, at_once), read, 1 - read)
    sha256 = digest_of(files, clip.info.unchanged)
    return Shot(clip, mattes, numbers, frames, tuple(alphas), sha256, at_once, given)


def files_of(info: ClipInfo, numbers: range) -> list[Path]:
    """The files that frames come from."""
    files = list(info.files)
    return files[numbers.start - info.first : numbers.stop - info.first] if len(files) == info.count else files


def digest_of(files: Iterable[Path], unchanged: Unchanged) -> str:
    """Of the content of files, in their order, which must be what is read of them otherwise."""
    digest = hashlib.sha256()
    for file in files:
        with unchanged.reading(file), file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
