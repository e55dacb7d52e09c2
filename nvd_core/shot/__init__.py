"""Input of the solvers: the clip at working size with each layer's visible alpha, and the plates on demand."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import UInt8

from nvd_core.clip import Clip, ClipInfo, Plate
from nvd_core.clip.unchanged import Unchanged
from nvd_core.flow.given import GivenFlow, Provider, read_flow
from nvd_core.image.colour import to_display, to_uint8
from nvd_core.image.exr import writable
from nvd_core.image.sample import resized
from nvd_core.masks import Matte, Mattes
from nvd_core.masks.files import faint
from nvd_core.runtime.parallel import WORKERS, map_ordered
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import Size, working_size
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import Layer

_HIDDEN_PX = 16
"""Fewest working pixels that a mask covers by half in its best frame; a mask with fewer is refused as black."""


class PlateFrame(NamedTuple):
    """A plate with its frame number and the visible alpha of each layer."""

    number: int
    plate: Plate
    mattes: tuple[Matte, ...]


@final
@dataclass(frozen=True)
class Shot:
    """A clip prepared for solving.

    Attributes:
        clip: the plates, read on demand.
        mattes: the layers' mattes, likewise.
        numbers: plate numbers of the frames used.
        frames: all of them at working size, 8-bit display-encoded RGB.
        alphas: visible alpha of each layer at working size, 0 to 255.
        sha256: digest of the content of clip, masks and the user's flow.
        at_once: plates at their own size in work at a time, which bounds memory.
        flow: the user's flow; None where flow is computed.
        parts: digests of the content of ``clip``, of each of the ``masks``, and of the user's ``flow``.
    """

    clip: Clip
    mattes: Mattes
    numbers: range
    frames: Pictures | UInt8[np.ndarray, "frame height width 3"]
    alphas: tuple[Pictures | UInt8[np.ndarray, "frame height width"], ...]
    sha256: str
    at_once: int = WORKERS
    flow: GivenFlow | None = None
    parts: Mapping[str, str | list[str]] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers, front to back; the last is the background."""
        return self.mattes.layers

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers, front to back."""
        return tuple(layer.name for layer in self.layers)

    @property
    def locked(self) -> tuple[bool, ...]:
        """Whether each layer's alpha is its matte unchanged."""
        return self.mattes.locked

    @property
    def size(self) -> Size:
        """Working size."""
        return Size(self.frames.shape[2], self.frames.shape[1])

    def plates(self, numbers: Sequence[int]) -> Iterator[PlateFrame]:
        """Read plates at their own size in order, clipped to the range that can be written."""
        plates = (writable(plate) for plate in self.clip.frames(numbers))
        pairs = zip(numbers, plates, self.mattes.frames(numbers), strict=True)
        return (PlateFrame(*pair) for pair in pairs)


def prepare(
    clip: Clip,
    mattes: Mattes,
    numbers: range,
    lines: int,
    scratch: Path | None = None,
    at_once: int = WORKERS,
    flow: Provider | None = None,
    progress: Progress = SILENT,
) -> Shot:
    """Prepare a shot: read every frame and mask once, and the user's flow, and shrink them to working size.

    Args:
        clip: the plates.
        mattes: the layers' mattes.
        numbers: plate numbers of the frames used.
        lines: working height, px.
        scratch: folder on whose disk the working frames lie; by default the system's folder of temporary files.
        at_once: see :class:`Shot`.
        flow: source of the user's flow, if there is one.
        progress: of reading; hears cautions, too.

    Raises:
        InputError: a frame, mask or flow cannot be read, or a mask marks nothing in any frame.
    """
    size = working_size(clip.info.size, lines)

    def shrink(
        frame: PlateFrame,
    ) -> tuple[UInt8[np.ndarray, "height width 3"], list[UInt8[np.ndarray, "height width"]], list[float]]:
        colour = to_uint8(resized(to_display(frame.plate), size))
        alphas = [to_uint8(resized(matte, size)) for matte in frame.mattes]
        return colour, alphas, [float(matte.max()) for matte in frame.mattes]

    folder = scratch or Path(tempfile.gettempdir())
    frames = Pictures.on_disk(folder, (size.height, size.width, 3))
    alphas = [Pictures.on_disk(folder, (size.height, size.width)) for _ in mattes.layers]
    largest, most = [0] * len(alphas), [0.0] * len(alphas)
    reading, reading_flow = progress.split(1, flow is not None)
    given = None
    pairs = zip(numbers, clip.frames(numbers), mattes.frames(numbers), strict=True)
    shrinking = map_ordered(shrink, (PlateFrame(*pair) for pair in pairs), at_once)
    for colour, shrunk, peaks in reading.track(shrinking, len(numbers)):
        frames.append(colour)
        for index, one in enumerate(shrunk):
            alphas[index].append(one)
            largest[index] = max(largest[index], int(np.count_nonzero(one > 127)))
        most = [*map(max, most, peaks)]
    for (name, _), source, most_px, peak in zip(mattes.layers, mattes.sources, largest, most, strict=False):
        if most_px < _HIDDEN_PX:
            raise InputError(
                f"The mask of {name} is black in every frame (less than half white), or hidden by the masks before it",
                where=source.path,
                hint="White marks the object.",
            )
        if caution := faint(f"The mask of {name}", peak):
            progress.tell(caution)
    if flow is not None:
        for file in flow.files:
            clip.info.unchanged.check(file)  # so that the content digested below is the content read
        given = read_flow(flow, frames, folder, at_once, reading_flow)
    unchanged = clip.info.unchanged
    plates = _digests(files_of(clip.info, numbers), unchanged)
    masks = [_digests(source.files(numbers), unchanged) for source in mattes.sources]
    flows = _digests(flow.files if flow else (), unchanged)
    parts = {"clip": _digest(plates), "masks": [_digest(one) for one in masks], "flow": _digest(flows)}
    sha256 = _digest(chain(plates, *masks, flows))
    return Shot(clip, mattes, numbers, frames, tuple(alphas), sha256, at_once, given, parts)


def files_of(info: ClipInfo, numbers: range) -> list[Path]:
    """Files that hold the frames of these numbers: some of a sequence, all of a video."""
    files = list(info.files)
    return files[numbers.start - info.first : numbers.stop - info.first] if len(files) == info.count else files


def digest_of(files: Iterable[Path], unchanged: Unchanged) -> str:
    """SHA-256 of the contents of files in order; a file that changed since it was read is refused."""
    return _digest(_digests(files, unchanged))


def _digests(files: Iterable[Path], unchanged: Unchanged) -> list[bytes]:
    digests = []
    for file in files:
        with unchanged.reading(file), file.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256").digest())
    return digests


def _digest(digests: Iterable[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()
