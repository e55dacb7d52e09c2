"""Flow from files: Middlebury's ``.flo``, and the vector passes that renderers and compositing programs write as EXR.

File number t holds the flow of frame t: to the next one, and to the one before where the file has that.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

import numpy as np

from nvd_core.clip import ClipInfo
from nvd_core.clip.headers import MOST_PIXELS
from nvd_core.clip.pictures import to_display_window
from nvd_core.clip.sequence import is_pattern, list_pictures
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.exr import read_exr
from nvd_core.flow.dis import FlowPx
from nvd_core.flow.given import Frames

_SUFFIXES: Final = (".flo", ".exr")
_NAMES: Final = ".flo and EXR"

_MAGIC: Final = struct.pack("<f", 202021.25)
_UNKNOWN_PX: Final = 1e9
"""Middlebury's files have values beyond this where flow is not known."""


class _Layout(NamedTuple):
    """Two channels of an EXR and the signs that make of them a move with y down.

    Passes stand at the end of a name, behind those of view layers; plain colours are no pass of another's.
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
    """A clip's flow.

    Attributes:
        path: as the user named it.
        size: of the plate, which all files must have.
        files: of the frames used, in their order; the last frame may have none.
    """

    path: Path
    size: Size
    files: tuple[Path, ...]
    distances: tuple[int, ...] = (1,)

    def pair(self, frames: Frames, a: int, b: int) -> tuple[FlowPx, FlowPx | None]:  # noqa: ARG002 (they say it all)
        """See :class:`nvd_core.flow.given.Provider`."""
        to_next, _ = read_flow_file(self.files[a])
        if to_next is None:
            raise InputError("The EXR has no flow to the next frame", where=self.files[a], hint="Render both ways.")
        there = self._checked(to_next, self.files[a])
        _, to_last = read_flow_file(self.files[b]) if b < len(self.files) else (None, None)
        return there, None if to_last is None else self._checked(to_last, self.files[b])

    def _checked(self, flow_px: FlowPx, file: Path) -> FlowPx:
        size = Size(flow_px.shape[1], flow_px.shape[0])
        if size != self.size:
            raise InputError(
                f"The flow is {size}, the clip is {self.size}", where=file, hint="Render it at the clip's size."
            )
        if not np.isfinite(flow_px).all():
            raise InputError("The flow holds values that are not numbers", where=file, hint="Write it again.")
        return np.where(np.abs(flow_px) < _UNKNOWN_PX, flow_px, np.float32(np.nan))


def open_files(text: str, info: ClipInfo, numbers: range) -> FlowFiles:
    """Find flow files and match them with frames, by their numbers or, failing that, by order.

    Args:
        text: path of a folder or pattern.
        info: of the clip.
        numbers: plate numbers that are used; there may be files for these alone, or for the whole clip.

    Raises:
        InputError: there are none, or not as many as frames.
    """
    path = Path(text)
    if not (path.exists() or is_pattern(path)):
        raise InputError("There is no such flow", where=path, hint="Name a folder or a pattern of flow files, or dis.")
    found = list_pictures(path, _SUFFIXES, _NAMES)
    if not set(numbers[:-1]) <= set(found):
        frames = next((one for one in (info.numbers, numbers) if len(found) in (len(one) - 1, len(one))), None)
        if frames is None:
            raise InputError(
                f"There are {len(found)} flow files and {info.count} frames",
                where=path,
                hint="Give one for every frame but the last.",
            )
        found = dict(zip(frames, found.values(), strict=False))
    return FlowFiles(path, info.size, tuple(found[number] for number in numbers if number in found))


def read_flow_file(path: Path) -> tuple[FlowPx | None, FlowPx | None]:
    """Flow to the next frame, and to the one before, where a file has it: px, y down.

    Raises:
        InputError: the file is missing, damaged, or holds no flow.
    """
    return _read_exr(path) if path.suffix.lower() == ".exr" else (_read_flo(path), None)


def _read_flo(path: Path) -> FlowPx:
    """Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011: sizes, then x and y by pixel.

    OpenCV reads it, too, but cannot open every path on Windows.
    """
    data = path.read_bytes() if path.is_file() else b""
    width, height = struct.unpack_from("<ii", data, 4) if data[:4] == _MAGIC and len(data) >= 12 else (0, 0)
    if min(width, height) < 1 or width * height > MOST_PIXELS or len(data) < 12 + width * height * 8:
        raise InputError("The flow file is damaged, or is no .flo", where=path, hint="Write it again.")
    return np.frombuffer(data, "<f4", 2 * width * height, 12).reshape(height, width, 2).astype(np.float32)


def _read_exr(path: Path) -> tuple[FlowPx | None, FlowPx | None]:
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
    endings = (f".{name}",) if "." in name else ()
    return next((channels[one] for one in sorted(channels) if one == name or one.endswith(endings)), None)
