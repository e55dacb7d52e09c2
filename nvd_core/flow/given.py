"""Flow that is given for a shot: read once, at working size, and kept on disk."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.clip.colour import luma8
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.flow.compose import inverted
from nvd_core.flow.dis import FlowPx
from nvd_core.parallel import map_ordered
from nvd_core.resample import resample
from nvd_core.scratch import Pictures

Frames = Pictures | UInt8[np.ndarray, "frame rows columns 3"]

_WORSE, _BY = 1.1, 0.5
"""Flow is not the clip's if it makes frames differ from the next by the one more than they do unmoved, as a factor, and
by the other, in 8-bit levels."""


@runtime_checkable
class Provider(Protocol):
    """A source of flow.

    Attributes:
        path: what the user named.
        files: all that the flow depends on beside the frames.
        distances: in frames, at which it is asked; 1 is one of them.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102
    @property
    def distances(self) -> tuple[int, ...]: ...  # noqa: D102

    def pair(self, frames: Frames, a: int, b: int) -> tuple[FlowPx, FlowPx | None]:
        """Flow from frame ``a`` to the later frame ``b``, and back where that is known.

        Of any size, in its own px, y down; not finite where it is unknown.

        Raises:
            InputError: it cannot be read.
        """
        ...


@final
@dataclass(frozen=True)
class GivenFlow:
    """Flow between frames of a shot, there and back, at working size.

    Attributes:
        distances: in frames, at which it is known.
    """

    distances: tuple[int, ...]
    _fields: Pictures
    _places: dict[tuple[int, int], int]

    def pair(self, a: int, b: int) -> tuple[FlowPx, FlowPx]:
        """Flow from frame ``a`` to frame ``b``, one of the distances later, and back; NaN where it is unknown."""
        both = self._fields[self._places[a, b]]
        return np.ascontiguousarray(both[..., :2]), np.ascontiguousarray(both[..., 2:])


def read_flow(provider: Provider, frames: Frames, scratch: Path, at_once: int) -> Generator[float, None, GivenFlow]:
    """Ask a provider for all flow of a shot.

    Args:
        provider: of the flow.
        frames: at working size.
        scratch: a folder on whose disk the flow lies.
        at_once: so many files are read at a time.

    Yields:
        The part that is done, 0 to 1.

    Raises:
        InputError: it cannot be read, or moves the frames away from each other.
    """
    count, height, width = frames.shape[:3]
    fields = Pictures.on_disk(scratch, (height, width, 4), np.float32)
    pairs = [(a, a + far) for far in provider.distances for a in range(count - far)]
    moved, unmoved = 0.0, 0.0

    def read(pair: tuple[int, int]) -> tuple[FlowPx, FlowPx]:
        there, back = provider.pair(frames, *pair)
        there = scaled(there, Size(width, height))
        return there, inverted(there) if back is None else scaled(back, Size(width, height))

    for pair, (there, back) in zip(pairs, map_ordered(read, pairs, at_once), strict=True):
        fields.append(np.dstack([there, back]))
        if pair[1] - pair[0] == 1:
            one, other = _differences(luma8(frames[pair[0]]), luma8(frames[pair[1]]), there)
            moved, unmoved = moved + one, unmoved + other
        yield len(fields) / len(pairs)
    if moved > _WORSE * unmoved + _BY * (count - 1):
        raise InputError(
            "The flow does not fit the clip: moved by it, frames are less like the next than they are unmoved",
            where=provider.path,
            hint="Check that file N leads from frame N to the next, in pixels, and which way y points.",
        )
    return GivenFlow(provider.distances, fields, {pair: place for place, pair in enumerate(pairs)})


def scaled(flow_px: FlowPx, size: Size) -> Float32[np.ndarray, "new_height new_width 2"]:
    """The same flow in a picture of another size, in its pixels."""
    here = Size(flow_px.shape[1], flow_px.shape[0])
    if here == size:
        return flow_px
    shrinks = size.width < here.width
    resized = cv2.resize(flow_px, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized * np.array([size.width / here.width, size.height / here.height], np.float32)


def _differences(
    here: UInt8[np.ndarray, "height width"], there: UInt8[np.ndarray, "height width"], flow_px: FlowPx
) -> tuple[float, float]:
    """Mean difference of a frame from the next one moved by flow, and from the next one as it is."""
    height, width = here.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x + flow_px[..., 0], y + flow_px[..., 1]
    known = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    if not known.any():
        return 0.0, 0.0
    moved = resample(there, np.where(known, x, 0), np.where(known, y, 0))
    one, other = (float(np.abs(here[known] - seen[known].astype(np.float32)).mean()) for seen in (moved, there))
    return one, other
