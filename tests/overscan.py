"""Clips of EXRs whose data window is not their display window, as renders with overscan and cropping write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import OpenEXR
from OpenImageIO import ImageBuf
from support import disc, solve, texture, write_masks

from nvd_core.image.colour import linear_from_display
from nvd_core.spec.conventions import Size
from nvd_core.spec.settings import Job, MaskSource, Settings

FRAME: Final = Size(96, 64)
COUNT: Final = 3

Box = tuple[int, int, int, int]
"""First and last pixel of a window: left, top, right, bottom."""


@dataclass(frozen=True)
class Overscan:
    """What the frames of a clip store.

    Attributes:
        data: the data window of each frame, in the pixels of the display window.
        at: where the display window begins.
        kind: of the numbers.
        names: of the channels.
    """

    data: tuple[Box, Box, Box]
    at: tuple[int, int] = (0, 0)
    kind: type = np.float16
    names: str = "RGB"


WHOLE: Final = (0, 0, 95, 63)

CLIPS: Final = {
    "overscan": Overscan(((-10, -6, 105, 69),) * 3),
    "overscan on one side, of floats": Overscan(((-20, 0, 95, 73),) * 3, kind=np.float32),
    "cropped to what is there, with alpha": Overscan(((8, 4, 83, 59), (10, 4, 85, 60), (0, 0, 95, 50)), names="RGBA"),
    "grey, cropped": Overscan(((4, 4, 90, 50),) * 3, names="Y", kind=np.float32),
    "shifted, and away from nought": Overscan(((7, -5, 102, 58),) * 3, at=(-40, 25)),
    "but the last frame is whole": Overscan((WHOLE, WHOLE, (-3, -2, 90, 80))),
    "a frame that shows nothing": Overscan((WHOLE, (200, 0, 209, 9), (-30, -30, -1, -1)), at=(5, 5)),
}
"""By what they are."""

_WIDE: Final = linear_from_display(texture(Size(400, 400)).astype(np.float32) / 255)


def write_clip(folder: Path, clip: Overscan) -> list[Path]:
    """Write a clip that pans; its files are returned."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for t, (left, top, right, bottom) in enumerate(clip.data):
        pixels = _WIDE[100 + top : 101 + bottom, 100 + left + 2 * t : 101 + right + 2 * t].astype(clip.kind)
        pixels = np.dstack([pixels, np.ones(pixels.shape[:2], clip.kind)])
        channels = {name: np.ascontiguousarray(pixels[..., index]) for index, name in enumerate(clip.names)}
        files.append(write_exr_with_windows(folder / f"shot.{t + 1:04d}.exr", channels, clip.data[t], clip.at))
    return files


def write_exr_with_windows(path: Path, channels: dict[str, np.ndarray], data: Box, at: tuple[int, int]) -> Path:
    """Write an EXR of this data window, which is in the pixels of the display window."""
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    for name, box in (("dataWindow", data), ("displayWindow", WHOLE)):
        corners = np.array(box, np.int32).reshape(2, 2) + np.array(at, np.int32)
        header[name] = (corners[0], corners[1])
    OpenEXR.File(header, channels).write(str(path))
    return path


def shown(path: Path) -> np.ndarray:
    """The display window, as OpenImageIO has it."""
    image = ImageBuf(str(path))
    return image.get_pixels("float", image.roi_full)


def colour(path: Path) -> np.ndarray:
    """Its R, G and B."""
    picture = shown(path)
    return picture[..., :3] if picture.shape[2] > 1 else picture.repeat(3, axis=2)


def decomposed(at: Path, clip: Overscan) -> list[Path]:
    """Decompose such a clip into ``out``; its files are returned."""
    files = write_clip(at / "clip", clip)
    mask = write_masks(at / "masks", [disc((40, 32), 18, FRAME)] * COUNT)
    solve(job_of(at, mask), at / "out")
    return files


def job_of(at: Path, mask: Path, **more: object) -> Job:
    """Of the clip there, and one object."""
    return Job(
        clip=str(at / "clip"),
        masks=(MaskSource.of(name="box", path=str(mask), **more),),
        settings=Settings(preset="preview"),
    )
