"""Tiny films of every kind that artists have, and readings of them that owe nothing to ours.

Each frame says its number in black and white bars and holds flat patches of colour, whose values are known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np

from nvd_core.spec.conventions import Size

os.environ["SVT_LOG"] = "0"  # the AV1 encoder talks otherwise

COUNT: Final = 12

_USUAL: Final = Size(96, 64)
_RATE: Final = Fraction(25)
_SQUARE: Final = Fraction(1)

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
        size: upright.
        matrix: see the table above; empty for an untagged film.
        is_full: whether luma uses all values; None where the codec settles it.
        turned: degrees, counterclockwise, by its metadata alone.
        flipped: whether its metadata also mirror it, left to right.
        rate: frames a second.
        gaps: how long frames last, in turn, in halves of what the rate says.
        late: at how many such halves the first frame begins; below zero, frames are trimmed away by an edit list.
        transfer: the number of the tag.
        aspect: of a pixel.
        options: of the encoder.
        muxing: of the container.
        second: whether the file holds another video after this one.
    """

    codec: str
    container: str = "mp4"
    pixels: str = "yuv420p"
    size: Size = _USUAL
    matrix: str = "bt709"
    is_full: bool | None = False
    turned: int = 0
    flipped: bool = False
    rate: Fraction = _RATE
    gaps: tuple[int, ...] = (2,)
    late: int = 0
    transfer: int = 1
    aspect: Fraction = _SQUARE
    options: dict[str, str] = field(default_factory=dict)
    muxing: dict[str, str] = field(default_factory=dict)
    second: bool = False

    @property
    def name(self) -> str:
        """All that it is, in a word, which can name a file."""
        usual = Film(codec="")
        parts = [self.codec, self.container, self.pixels, str(self.size), self.matrix or "untagged"]
        parts += ["full"] if self.is_full else []
        parts += [
            f"{name}_{getattr(self, name)}"
            for name in ("turned", "flipped", "rate", "gaps", "late", "transfer", "aspect", "second")
            if getattr(self, name) != getattr(usual, name)
        ]
        special = [key for key in {**self.options, **self.muxing} if key not in QUICK]
        return re.sub(r"[^\w.-]+", "_", "-".join(parts + special))

    @property
    def tag(self) -> int:
        """The number that says its matrix; 0 says that there is none."""
        return _MATRICES[self.matrix][0] if self.pixels.startswith(("yuv", "gray")) else 0

    @property
    def numbers(self) -> list[int]:
        """What its frames say, in order."""
        return list(range(max(0, -self.late // 2), COUNT))


QUICK: Final = {
    "crf": "8",
    "g": "5",
    "bf": "2",
    "qmin": "1",
    "qmax": "1",
    "b": "0",
    "cpu-used": "8",
    "preset": "12",
    "profile": "",
}
"""Options that make films small, quick and true to their colours; each film takes those of its encoder."""


def _quick(*names: str, **others: str) -> dict[str, str]:
    return {name.replace("_", "-"): QUICK[name.replace("_", "-")] for name in names} | others


_H264: Final = {"codec": "libx264", "options": _quick("crf", "bf")}
_H265: Final = {"codec": "libx265", "options": _quick("crf") | {"x265-params": "log-level=none"}}
_AV1: Final = {"codec": "libsvtav1", "options": _quick("crf", "preset")}
_VP9: Final = {"codec": "libvpx-vp9", "options": _quick("crf", "b", "cpu_used")}
_PRORES: Final = {"codec": "prores_ks", "container": "mov"}
_DNXHR: Final = {"codec": "dnxhd", "container": "mov", "size": Size(256, 120)}
_MJPEG: Final = {
    "codec": "mjpeg",
    "is_full": True,
    "matrix": "bt601",
    "options": _quick("qmin", "qmax"),
    "size": Size(97, 65),
}
_ODD: Final = Size(97, 65)

FILMS: Final = (
    *(Film(**_H264, matrix=matrix, is_full=full) for matrix in _MATRICES for full in (False, True)),
    *(Film(**_H264, container=container, pixels="yuv444p", size=_ODD) for container in ("mp4", "mov", "mkv")),
    *(Film(**_H264, container=container, pixels="yuv420p10le") for container in ("mp4", "mov", "mkv")),
    *(Film(**_H264, pixels=pixels) for pixels in ("yuv422p", "gray")),
    *(Film(**_H264, rate=Fraction(rate)) for rate in ("24000/1001", "30", "120")),
    *(Film(**_H264, container=container, turned=turned) for container in ("mp4", "mov") for turned in (90, 180, -90)),
    *(Film(**_H264, container=container, gaps=(1, 3, 2)) for container in ("mp4", "mov", "mkv")),
    *(Film(**_H264, container=container, late=50) for container in ("mp4", "mov", "mkv", "ts")),
    Film(**_H264, late=-4),
    Film(**_H264, aspect=Fraction(4, 3)),
    Film(**_H264, second=True),
    Film(**_H264, muxing={"movflags": "frag_keyframe+empty_moov"}),
    Film(codec="libx264", options=_quick("crf", "bf") | {"x264-params": "open-gop=1"}),
    *(Film(codec=codec, container="flv", pixels="bgr24", is_full=None) for codec in ("flashsv", "flashsv2")),
    Film(codec="cinepak", container="avi", pixels="rgb24", is_full=None),
    Film(codec="qtrle", container="mov", pixels="rgb24", is_full=None),
    Film(codec="rawvideo", container="avi", pixels="bgr24", is_full=None),
    *(Film(**_H265, container=container) for container in ("mp4", "mov", "mkv")),
    *(
        Film(**_H265, container=container, pixels="yuv422p10le", matrix="bt2020", transfer=14)
        for container in ("mp4", "mov", "mkv")
    ),
    Film(**_H265, is_full=True, matrix="bt601", turned=90),
    *(Film(**_AV1, container=container) for container in ("mp4", "mkv", "webm")),
    *(
        Film(**_AV1, container=container, pixels="yuv420p10le", size=Size(98, 66))
        for container in ("mp4", "mkv", "webm")
    ),
    *(Film(**_VP9, container=container, size=_ODD) for container in ("mp4", "mkv", "webm")),
    *(Film(**_VP9, container="webm", pixels=pixels) for pixels in ("yuv444p", "yuva420p")),
    Film(**_VP9, container="webm", gaps=(1, 3, 2)),
    Film(codec="libvpx", container="webm", options={"b": "2M"}),
    *(Film(**_PRORES, pixels=pixels, size=_ODD) for pixels in ("yuv422p10le", "yuv444p10le", "yuva444p10le")),
    Film(codec="prores_ks", container="mkv", pixels="yuv422p10le", matrix="bt601"),
    *(
        Film(**_DNXHR, pixels=pixels, options={"profile": profile})
        for pixels, profile in (("yuv422p", "dnxhr_hq"), ("yuv422p10le", "dnxhr_hqx"), ("yuv444p10le", "dnxhr_444"))
    ),
    Film(**_DNXHR, pixels="gbrp10le", is_full=None, options={"profile": "dnxhr_444"}),
    *(
        Film(**_MJPEG, container=container, pixels=pixels)
        for container in ("mov", "mkv")
        for pixels in ("yuvj420p", "yuvj422p", "yuvj444p")
    ),
    *(Film(codec="ffv1", container="mkv", pixels=pixels, size=_ODD) for pixels in ("yuv420p10le", "yuv444p16le")),
    Film(codec="qtrle", container="mov", pixels="argb", is_full=None),
    Film(codec="png", container="mov", pixels="rgb48be", is_full=None),
)


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
        stream = container.add_stream(film.codec, rate=film.rate, options={"g": QUICK["g"], **film.options})
        context = stream.codec_context
        lying = picture(0, film.size) if film.turned in {0, 180} else np.rot90(picture(0, film.size))
        stream.pix_fmt, stream.height, stream.width = film.pixels, *lying.shape[:2]
        ticks = 1 if film.gaps == (2,) and film.late % 2 == 0 else 2  # in a frame
        context.time_base = 1 / film.rate / ticks
        context.sample_aspect_ratio = film.aspect
        context.color_primaries, context.color_trc = _MATRICES[film.matrix][0], film.transfer
        context.colorspace = film.tag
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
    if os.name == "posix" and os.geteuid() == 0:
        # To root SVT-AV1 gives real-time priority, for good: spinning threads of torch then keep others from running.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def _stored(index: int, film: Film) -> av.VideoFrame:
    lying = np.ascontiguousarray(np.rot90(picture(index, film.size), -film.turned // 90))
    primaries, name = _MATRICES[film.matrix]
    bounds = {"dst_color_range": "JPEG" if film.is_full else "MPEG"} if "yuv" in film.pixels else {}
    frame = av.VideoFrame.from_ndarray(lying, format="rgb24")
    frame = frame.reformat(format=film.pixels, dst_colorspace=name, interpolation="AREA", **bounds)
    frame.colorspace, frame.color_primaries, frame.color_trc = film.tag, primaries, film.transfer
    if film.is_full is not None:
        frame.color_range = 2 if film.is_full else 1
    return frame


def textbook(path: Path) -> Iterator[np.ndarray]:
    """The frames of a film, 1 = white, by the definitions of the standards, without FFmpeg's converter."""
    with av.open(str(path)) as container:
        matrix = container.streams.video[0].codec_context.colorspace  # the container's, before the codec has its say
        for frame in container.decode(video=0):
            weights = _WEIGHTS.get(frame.colorspace if matrix == 2 else matrix, (0, 0))
            yield np.rot90(_textbook(frame, weights), round(frame.rotation / 90))


def _textbook(frame: av.VideoFrame, weights: tuple[float, float]) -> np.ndarray:
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
    weight_r, weight_b = weights
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
