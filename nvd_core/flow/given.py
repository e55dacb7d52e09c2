"""Optical flow of a shot from a provider: read once, scaled to working size, and stored on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.flow.compose import inverted
from nvd_core.flow.dis import FlowPx
from nvd_core.image.colour import luma8
from nvd_core.image.geometry import is_inside, pixel_grid, size_of
from nvd_core.image.sample import resized, warp
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

Frames = Pictures | UInt8[np.ndarray, "frame rows columns 3"]

_WORSE, _BY = 1.1, 0.5
"""Flow does not fit the clip if frames differ from the next ones, warped, by more than they do unwarped, times the
first, plus the second, in 8-bit levels."""


@runtime_checkable
class Provider(Protocol):
    """Source of optical flow.

    Attributes:
        path: as the user named it.
        files: everything that the flow depends on beside the frames.
        distances: in frames, between the two frames of a pair; 1 is one of them.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def files(self) -> tuple[Path, ...]: ...  # noqa: D102
    @property
    def distances(self) -> tuple[int, ...]: ...  # noqa: D102

    def pair(self, frames: Frames, a: int, b: int) -> tuple[FlowPx, FlowPx | None]:
        """Optical flow from frame ``a`` to the later frame ``b``, and back, or None where that is unknown.

        Of any size, in its own px, y down; not finite where it is unknown.

        Raises:
            InputError: it cannot be read.
        """
        ...


@final
@dataclass(frozen=True)
class GivenFlow:
    """Optical flow between frames of a shot, forward and backward, px at working size.

    Attributes:
        distances: in frames, between the two frames of a pair.
    """

    distances: tuple[int, ...]
    _fields: Pictures
    _places: dict[tuple[int, int], int]

    def pair(self, a: int, b: int) -> tuple[FlowPx, FlowPx]:
        """Optical flow from frame ``a`` to ``b``, one of the distances later, and back, px; NaN where it is unknown."""
        both = self._fields[self._places[a, b]]
        return np.ascontiguousarray(both[..., :2]), np.ascontiguousarray(both[..., 2:])


def read_flow(
    provider: Provider, frames: Frames, scratch: Path, at_once: int, progress: Progress = SILENT
) -> GivenFlow:
    """Read all optical flow of a shot from a provider, and check that it fits the frames.

    Args:
        provider: of the flow.
        frames: RGB at working size.
        scratch: a folder on whose disk the flow lies.
        at_once: number of pairs that are read at a time.
        progress: of reading.

    Raises:
        InputError: it cannot be read, or warps frames away from their neighbours.
    """
    count, height, width = frames.shape[:3]
    fields = Pictures.on_disk(scratch, (height, width, 4), np.float32)
    pairs = [(a, a + far) for far in provider.distances for a in range(count - far)]
    warped, unwarped = 0.0, 0.0

    def read(pair: tuple[int, int]) -> tuple[FlowPx, FlowPx]:
        there, back = provider.pair(frames, *pair)
        there = scaled(there, Size(width, height))
        return there, inverted(there) if back is None else scaled(back, Size(width, height))

    both = progress.track(map_ordered(read, pairs, at_once), len(pairs))
    for pair, (there, back) in zip(pairs, both, strict=True):
        fields.append(np.dstack([there, back]))
        if pair[1] - pair[0] == 1:
            one, other = _differences(luma8(frames[pair[0]]), luma8(frames[pair[1]]), there)
            warped, unwarped = warped + one, unwarped + other
    if warped > _WORSE * unwarped + _BY * (count - 1):
        raise InputError(
            "The flow does not fit the clip: moved by it, frames are less like the next than they are unmoved",
            where=provider.path,
            hint="Check that file N leads from frame N to the next, in pixels, and which way y points.",
        )
    return GivenFlow(provider.distances, fields, {pair: place for place, pair in enumerate(pairs)})


def scaled(flow_px: FlowPx, size: Size) -> Float32[np.ndarray, "new_height new_width 2"]:
    """Resize optical flow to a picture of another size, in its px."""
    here = size_of(flow_px)
    return resized(flow_px, size) * np.array([size.width / here.width, size.height / here.height], np.float32)


def _differences(
    here: UInt8[np.ndarray, "height width"], there: UInt8[np.ndarray, "height width"], flow_px: FlowPx
) -> tuple[float, float]:
    """Mean difference of a frame from the next one, warped by flow and unwarped, in 8-bit levels."""
    positions = pixel_grid(size_of(here)) + flow_px
    known = is_inside(positions, size_of(here))
    if not known.any():
        return 0.0, 0.0
    warped = warp(there, np.where(known[..., None], positions, 0))
    one, other = (float(np.abs(here[known] - seen[known].astype(np.float32)).mean()) for seen in (warped, there))
    return one, other
