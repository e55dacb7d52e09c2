"""Tiny films of every kind that artists have, and readings of them that owe nothing to ours.

Each frame says its number in black and white bars and holds flat patches of colour, whose values are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from support import number_of

from nvd_core.conventions import Size

COUNT: Final = 12

_PATCHES: Final = np.uint8(
    [[16, 16, 16], [200, 40, 40], [40, 190, 60], [40, 60, 200], [220, 200, 60], [128, 128, 128], [60, 180, 190]]
)

_MATRICES: Final = {"": (2, "ITU601"), "bt601": (6, "ITU601"), "bt709": (1, "ITU709"), "bt2020": (9, "bt2020")}
"""By the names people use: the number in the tag, and what FFmpeg's converter calls it."""

_WEIGHTS: Final = {2: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
"""Of red and blue in the luma of each matrix; untagged films are read as Rec.601, by Blender too."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a film is.

    Attributes:
        codec: FFmpeg's name of the encoder.
        container: suffix.
        pixels: FFmpeg's name of how they are stored.
        size: as it is stored.
        matrix: see the table above; empty for an untagged film.
        is_full: whether luma uses all values; None where the codec settles it.
        turned: degrees, counterclockwise, by its metadata alone.
        flipped: whether its metadata also mirror it, left to right.
        gaps: how long each frame lasts, in turn, in fiftieths of a second.
        late: at how many fiftieths the first frame begins.
        transfer: the number of the tag.
        aspect: of a pixel.
        options: of the encoder.
        muxing: of the container.
        extras: further streams: "cover" before the film, "second" after it.
    """

    codec: str
    container: str = "mp4"
    pixels: str = "yuv420p"
    size: Size = Size(96, 64)
    matrix: str = "bt709"
    is_full: bool | None = False
    turned: int = 0
    flipped: bool = False
    gaps: tuple[int, ...] = (2,)
    late: int = 0
    transfer: int = 1
    aspect: Fraction = Fraction(1)
    options: dict[str, str] = field(default_factory=dict)
    muxing: dict[str, str] = field(default_factory=dict)
    second: bool = False

    @property
    def name(self) -> str:
        """All that it is, in a word."""
        usual = Film(codec="")
        parts = [self.codec, self.container, self.pixels, str(self.size), self.matrix or "untagged"]
        parts += ["full"] if self.is_full else []
        parts += [
            f"{name}={getattr(self, name)}"
            for name in ("turned", "flipped", "gaps", "late", "transfer", "aspect", "second")
            if getattr(self, name) != getattr(usual, name)
        ]
        return "-".join([*parts, *self.options.values(), *self.muxing]).replace("/", ":").replace(" ", "")


def picture(index: int, size: Size) -> np.ndarray:
    """Bars above, which say a number; patches below."""
    out = np.empty((size.height, size.width, 3), np.uint8)
    for bit in range(8):
        out[:, bit * size.width // 8 : (bit + 1) * size.width // 8] = 255 * (index >> bit & 1)
    for patch, colour in enumerate(_PATCHES):
        out[2 * size.height // 3 :, patch * size.width // 7 : (patch + 1) * size.width // 7] = colour
    return out


def patches(plate: np.ndarray) -> np.ndarray:
    """The colours of the patches, where nothing bleeds in; 1 = white."""
    height, width = plate.shape[:2]
    unit = np.iinfo(plate.dtype).max if plate.dtype.kind == "u" else 1
    return np.stack([plate[5 * height // 6, (2 * i + 1) * width // 14] for i in range(7)]).astype(float) / unit


def write_film(path: Path, film: Film) -> Path:
    """Encode it."""
    with av.open(str(path), "w", options=film.muxing) as container:
        stream = container.add_stream(film.codec, rate=25, options={"g": "5", **film.options})
        context = stream.codec_context
        stream.pix_fmt, stream.width, stream.height = film.pixels, *film.size
        ticks = 1 if film.gaps == (2,) and film.late % 2 == 0 else 2  # in a frame
        context.time_base = Fraction(1, 25 * ticks)
        context.sample_aspect_ratio = film.aspect
        tag, _ = _MATRICES[film.matrix]
        context.colorspace, context.color_trc = tag, film.transfer
        if film.is_full is not None:
            context.color_range = 2 if film.is_full else 1
        if film.turned or film.flipped:
            stream.set_display_rotation(film.turned, hflip=film.flipped)
        streams = [stream]
        if film.second:
            streams.append(container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p"))
        time = film.late
        for index in range(COUNT):
            for one in streams:
                frame = _stored(index, film) if one is stream else av.VideoFrame(32, 32, "yuv420p")
                frame.pts, frame.time_base = time * ticks // 2, context.time_base
                container.mux(one.encode(frame))
            time += film.gaps[index % len(film.gaps)]
        for one in streams:
            container.mux(one.encode())
    return path


def _stored(index: int, film: Film) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture(index, film.size), format="rgb24")
    tag, name = _MATRICES[film.matrix]
    bounds = {"dst_color_range": "JPEG" if film.is_full else "MPEG"} if "yuv" in film.pixels else {}
    frame = frame.reformat(format=film.pixels, dst_colorspace=name, interpolation="AREA", **bounds)
    frame.colorspace, frame.color_trc = tag, film.transfer
    if film.is_full is not None:
        frame.color_range = 2 if film.is_full else 1
    return frame


def textbook(path: Path) -> Iterator[np.ndarray]:
    """The frames of a film, 1 = white, by the definitions of the standards, without FFmpeg's converter."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield _textbook(frame)


def _textbook(frame: av.VideoFrame) -> np.ndarray:
    bits = frame.format.components[0].bits
    if frame.format.is_rgb:
        stored, name = frame.to_ndarray(), frame.format.name
        order = {"argb": [1, 2, 3], "bgra": [2, 1, 0], "bgr0": [2, 1, 0], "bgr24": [2, 1, 0]}.get(name, [0, 1, 2])
        return stored[..., order] / (2**bits - 1)
    planes = [_plane(frame, index, bits) for index in range(1 if frame.format.name.startswith("gray") else 3)]
    is_full = frame.color_range == 2 or frame.format.name.startswith("yuvj")
    unit = 2 ** (bits - 8)
    offset, height, spread = (0, 2**bits - 1, 2**bits - 1) if is_full else (16 * unit, 219 * unit, 224 * unit)
    luma = (planes[0] - offset) / height
    if len(planes) == 1:
        return np.dstack([luma] * 3).clip(0, 1)
    blue, red = ((plane - 128 * unit) / spread for plane in planes[1:])
    weight_r, weight_b = _WEIGHTS[frame.colorspace]
    rgb = [luma + 2 * (1 - weight_r) * red, luma, luma + 2 * (1 - weight_b) * blue]
    rgb[1] = (luma - weight_r * rgb[0] - weight_b * rgb[2]) / (1 - weight_r - weight_b)
    return np.dstack(rgb).clip(0, 1)


def _plane(frame: av.VideoFrame, index: int, bits: int) -> np.ndarray:
    """One plane, grown to the frame's size."""
    plane, kind = frame.planes[index], np.uint8 if bits == 8 else np.dtype("<u2")
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    values = rows.copy().view(kind)[:, : plane.width].astype(float)
    times = (-(-frame.height // plane.height), -(-frame.width // plane.width))
    return values.repeat(times[0], axis=0).repeat(times[1], axis=1)[: frame.height, : frame.width]


__all__ = ["COUNT", "Film", "number_of", "patches", "picture", "textbook", "write_film"]
