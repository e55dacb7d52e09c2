"""Optical flow read from files: Middlebury's ``.flo``, and vector passes of renderers and compositors in EXR.

File number t holds the flow of frame t: to the next frame and, in some EXRs, to the one before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

import numpy as np

from nvd_core.clip import ClipInfo
from nvd_core.clip.pictures import MOST_PIXELS, to_display_window
from nvd_core.clip.sequence import is_pattern, list_pictures
from nvd_core.flow.dis import FlowPx
from nvd_core.flow.given import Frames
from nvd_core.image.exr import read_exr
from nvd_core.image.geometry import size_of
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

_SUFFIXES: Final = (".flo", ".exr")
_NAMES: Final = ".flo and EXR"

_MAGIC: Final = struct.pack("<f", 202021.25)
_UNKNOWN_PX: Final = 1e9
"""Middlebury's files mark unknown flow by larger values, px."""


class _Layout(NamedTuple):
    """Two channels of an EXR, and the signs that turn them into flow with y down.

    A pass ends a channel's name, after the view layer's; ``R`` and ``G`` stand alone.
    """

    x: str
    y: str
    sign_x: int
    sign_y: int


_TO_NEXT: Final = (
    _Layout("Vector.Z", "Vector.W", -1, 1),  # Blender: where the point was, seen from where it will be; y up
    _Layout("forward.u", "forward.v", 1, -1),  # Nuke; y up
    _Layout("R", "G", 1, 1),  # as in .flo
)
_TO_LAST: Final = (
    _Layout("Vector.X", "Vector.Y", 1, -1),
    _Layout("backward.u", "backward.v", 1, -1),
)


@final
@dataclass(frozen=True)
class FlowFiles:
    """Optical flow of a clip from files, a :class:`nvd_core.flow.given.Provider`.

    Attributes:
        path: as the user named it.
        size: of the plate, which all files must have.
        files: of the frames used, in their order; the last frame may have none.
    """

    path: Path
    size: Size
    files: tuple[Path, ...]
    distances: tuple[int, ...] = (1,)

    def check_first(self) -> None:
        """Read the first file, so that flow of another size is refused before the job begins."""
        self._to_next(0)

    def pair(self, frames: Frames, a: int, b: int) -> tuple[FlowPx, FlowPx | None]:  # noqa: ARG002 (they say it all)
        """Read the optical flow from frame ``a`` to ``b``, the next, and back, if that frame's file has it."""
        there = self._to_next(a)
        _, to_last = read_flow_file(self.files[b]) if b < len(self.files) else (None, None)
        return there, None if to_last is None else self._checked(to_last, self.files[b])

    def _to_next(self, index: int) -> FlowPx:
        """Read the flow from a frame to the next."""
        to_next, _ = read_flow_file(self.files[index])
        if to_next is None:
            raise InputError("The EXR has no flow to the next frame", where=self.files[index], hint="Render both ways.")
        return self._checked(to_next, self.files[index])

    def _checked(self, flow_px: FlowPx, file: Path) -> FlowPx:
        size = size_of(flow_px)
        if size != self.size:
            raise InputError(
                f"The flow is {size}, the clip is {self.size}", where=file, hint="Render it at the clip's size."
            )
        if not np.isfinite(flow_px).all():
            raise InputError("The flow holds values that are not numbers", where=file, hint="Write it again.")
        return np.where(np.abs(flow_px) < _UNKNOWN_PX, flow_px, np.float32(np.nan))


def open_files(text: str, info: ClipInfo, numbers: range) -> FlowFiles:
    """List flow files and match them with frames, by their numbers or, failing that, by order.

    Args:
        text: path of a folder or pattern.
        info: of the clip.
        numbers: plate numbers that are used; there may be files for these alone, or for the whole clip.

    Raises:
        InputError: there are none, or their number does not fit the frames'.
    """
    path = Path(text)
    if not (path.exists() or is_pattern(path)):
        raise InputError("There is no such flow", where=path, hint="Name a folder or a pattern of flow files, or dis.")
    files = list_pictures(path, _SUFFIXES, _NAMES)
    if not set(numbers[:-1]) <= set(files):
        frames = next((one for one in (info.numbers, numbers) if len(files) in (len(one) - 1, len(one))), None)
        if frames is None:
            raise InputError(
                f"There are {len(files)} flow files and {info.count} frames",
                where=path,
                hint="Give one for every frame but the last.",
            )
        files = dict(zip(frames, files.values(), strict=False))
    flow = FlowFiles(path, info.size, tuple(files[number] for number in numbers if number in files))
    if len(numbers) > 1:
        flow.check_first()
    return flow


def read_flow_file(path: Path) -> tuple[FlowPx | None, FlowPx | None]:
    """Read the flow to the next frame and to the one before, each None where a file lacks it: px, y down.

    Raises:
        InputError: the file is missing, damaged, or holds no flow.
    """
    return _read_exr(path) if path.suffix.lower() == ".exr" else (_read_flo(path), None)


def _read_flo(path: Path) -> FlowPx:
    """Read Middlebury's format (Baker et al., IJCV 2011): magic, width and height, then x and y by pixel.

    OpenCV reads it, too, but cannot open every path on Windows.
    """
    data = path.read_bytes() if path.is_file() else b""
    width, height = struct.unpack_from("<ii", data, 4) if data[:4] == _MAGIC and len(data) >= 12 else (0, 0)
    if min(width, height) < 1 or width * height > MOST_PIXELS or len(data) < 12 + width * height * 8:
        raise InputError("The flow file is damaged, or is no .flo", where=path, hint="Write it again.")
    return np.frombuffer(data, "<f4", 2 * width * height, 12).reshape(height, width, 2).astype(np.float32)


def _read_exr(path: Path) -> tuple[FlowPx | None, FlowPx | None]:
    """Read the vector passes of an EXR, cropped to its display window."""
    header, channels = read_exr(path, every_part=True)

    def read(layouts: tuple[_Layout, ...]) -> FlowPx | None:
        for layout in layouts:
            x, y = (_ending(channels, name) for name in (layout.x, layout.y))
            if x is not None and y is not None:
                return to_display_window(np.dstack([layout.sign_x * x, layout.sign_y * y]), header)
        return None

    to_next, to_last = read(_TO_NEXT), read(_TO_LAST)
    if to_next is None and to_last is None:
        names = ", ".join(sorted(channels)[:8])
        raise InputError(
            f"The EXR has no flow (it has {names})", where=path, hint="Render it with the pass Vector, as multilayer."
        )
    return to_next, to_last


def _ending(channels: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    """Channel of this name, or of one that ends with it, after a dot, if it is a pass."""
    endings = (f".{name}",) if "." in name else ()
    return next((channels[one] for one in sorted(channels) if one == name or one.endswith(endings)), None)
