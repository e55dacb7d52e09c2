"""Open the video stream of a container and list its frames, without trusting headers.

Packets are cheap to list and mostly tell which frames there are. Where decoding a few of them shows that they do not,
all are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, final

import av
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition

from nvd_core.clip.pictures import MOST_PIXELS, check_size
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Decode: TypeAlias = "Callable[[InputContainer, VideoStream], Iterator[av.VideoFrame]]"

_CONTAINERS: Final = (
    "mov,matroska,avi,mxf,mpegts,mpeg,mpegvideo,ogg,flv,asf,nut,gif,dv,flic,ivf,yuv4mpegpipe,h264,hevc,m4v,obu"
)
"""Containers that hold frames themselves: FFmpeg also reads playlists, which may name any other file, and text."""

_PICTURES: Final = ("heic", "heix", "heim", "heis", "mif1", "avif")
"""MP4 brands of still pictures (HEIF, AVIF), whose tiles would pass for videos."""

_HDR: Final = {16: "PQ", 18: "HLG"}
"""HDR transfer curves by their tags: their values cannot be taken for display-encoded sRGB."""

_SOUGHT: Final = {"h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "mpeg4", "mpeg1video", "mpeg2video"}
"""Codecs that can be sought: decoding restarts at any key frame and, as a rule, one packet is one frame. Others are
sought only if every frame is a key frame and none needs a palette, which may have come long before."""

_TRIED, _TRIED_LAST = 12, 300
"""Most frames that are decoded at the start, and after the last key frame, to test whether packets tell the frames."""

_COPY: Final = "Copy or export it again."

_USUAL_FPS: Final = (24, 25, 30, 50, 60, *(n * 1000 / 1001 for n in (24, 30, 60, 120)), 8, 10, 12, 15, 20, 48, 120, 240)

_ROUNDING, _JITTER_S, _UNEVEN = 1.0, 0.002, 0.2
"""Largest deviation of times from even ones, ticks; from those of a usual rate, seconds, as recordings in milliseconds
have it that were copied to finer ticks; and of a header's rate from the mean of uneven times, relative."""

_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"wide", b"free", b"skip")


class _Packet(NamedTuple):
    """Facts of a packet, without its data."""

    pts: int | None
    duration: int
    is_key: bool
    is_trimmed: bool
    is_partial: bool


@final
@dataclass(frozen=True)
class Frames:
    """Frames of a video stream, in display order.

    Attributes:
        count: number of frames.
        times: presentation times, in the stream's time base; empty if the file lacks some.
        keys: times of key frames that can be sought; if there are none, all is decoded from the start.
        are_counted: whether frames are identified by their order alone, as their times are wrong.
        is_doubtful: whether the file promises more frames than it has.
        lacks_start: whether the stream does not begin with the key frame that its first frames need.
        are_timed: whether display order is the order of times, by which some players go.
    """

    count: int
    times: tuple[int, ...]
    keys: tuple[int, ...] = ()
    are_counted: bool = False
    is_doubtful: bool = False
    lacks_start: bool = False
    are_timed: bool = True


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video file and the first stream in it that is a video and can be decoded.

    Raises:
        InputError: it is no video, or of a kind not supported.
    """
    try:
        container = av.open(str(path), container_options={"format_whitelist": _CONTAINERS})
    except (FFmpegError, ValueError) as error:
        if _falls_short(path):
            raise InputError("The video is cut off", where=path, hint=_COPY) from error
        raise InputError("The file is no video that can be read", where=path, hint="Check that it plays.") from error
    with container:
        if (brand := container.metadata.get("major_brand", "").strip()) in _PICTURES:
            hint = "Convert it to PNG, JPEG, TIFF or EXR."
            raise InputError(f"The file is a picture of a kind that is not read ({brand})", where=path, hint=hint)
        film = next((film for film in films(container) if film.codec_context), None)
        if film is None:
            raise InputError("The file holds no video that can be decoded", where=path, hint="Check that it plays.")
        context = film.codec_context
        check_size(Size(context.width, context.height), path)
        context.options = {"max_pixels": str(MOST_PIXELS)}
        context.thread_type = "AUTO"
        if _HDR.get(context.color_trc):
            raise InputError(
                f"The video is HDR ({_HDR[context.color_trc]}), which is not supported",
                where=path,
                hint="Convert it to Rec.709, or to scene-linear EXR.",
            )
        yield container, film


def films(container: InputContainer) -> list[VideoStream]:
    """Video streams of a file, without cover pictures and thumbnails."""
    no_film = Disposition.attached_pic | Disposition.timed_thumbnails
    return [film for film in container.streams.video if not film.disposition & no_film]


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn decoding errors into an InputError that names the file."""
    try:
        yield
    except (FFmpegError, ValueError) as error:
        hint = "Check that it plays, and export it again."
        raise InputError("The video is damaged, or of a kind that cannot be decoded", where=path, hint=hint) from error


def decode(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Decode the frames of a stream; as players do, skip packets before the first frame that can be decoded."""
    has_begun = False
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            if has_begun:
                raise
            continue
        has_begun = has_begun or bool(frames)
        yield from frames


def decode_from(path: Path, start: int | None, frames: Decode = decode) -> Iterator[av.VideoFrame]:
    """Decode frames from a key frame near a time on, or all of them.

    A file is opened anew for it: what the first packets carry, as palettes, is lost to who seeks before reading them.
    """
    with opened(path) as (container, stream):
        if start is None:
            yield from frames(container, stream)
        else:
            container.seek(start, stream=stream)
            yield from dropwhile(lambda frame: not frame.key_frame, frames(container, stream))


def list_frames(path: Path) -> Frames:
    """List the frames of a video.

    Raises:
        InputError: it is cut off, damaged, or holds none.
    """
    with opened(path) as (container, stream), damage_told(path):
        packets = [
            _Packet(one.pts, one.duration or 0, one.is_keyframe, one.is_discard, one.is_corrupt)
            for one in container.demux(stream)
            if one.size
        ]
        is_short, lacks_frames = _falls_short(path), _lacks_frames(stream, packets)
        if is_short and (lacks_frames or stream.frames > len(packets) or (packets and packets[-1].is_partial)):
            said = f"The video is cut off: only {len(packets)} of its frames are there"
            raise InputError(said, where=path, hint=_COPY)
        context = stream.codec_context
        lacks_start = context.name in _SOUGHT and not any(one.is_key for one in packets[:1])
        is_sought = context.name in _SOUGHT or (context.codec.intra_only and context.pix_fmt != "pal8")
    # An editor has trimmed frames without encoding anew; players skip them.
    times = sorted(one.pts for one in packets if one.pts is not None and not one.is_trimmed)
    keys = sorted(one.pts for one in packets if one.pts is not None and one.is_key and not one.is_trimmed)
    are_unique = len(set(times)) == sum(not one.is_trimmed for one in packets)
    listed = Frames(
        len(times),
        tuple(times),
        tuple(keys[1:]),
        is_doubtful=is_short or lacks_frames,
        lacks_start=lacks_start,
    )
    if are_unique and is_sought and _are_decoded(path, times, keys[1:]):
        return listed
    with damage_told(path):
        shown = [frame.pts for frame in decode_from(path, None)]
    known = [time for time in shown if time is not None]
    times = tuple(sorted(known)) if len(known) == len(shown) else ()
    are_timed = shown == sorted(set(times))
    return replace(listed, count=len(shown), times=times, keys=(), are_counted=True, are_timed=are_timed)


def rate_of(stream: VideoStream, times: Sequence[int]) -> float:
    """Frame rate: the header's or a usual one that fits the times; else the header's if near; else the mean."""
    said = [float(rate) for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate) if rate]
    if len(times) < 2 or times[0] == times[-1]:
        return next((rate for rate in said if rate <= max(_USUAL_FPS)), 24.0)
    ticks_s = 1 / float(stream.time_base or 1)
    measured = ticks_s * (len(times) - 1) / (times[-1] - times[0])

    def strays(rate: float) -> float:
        """Largest deviation of the times from a rate, ticks, peak to peak."""
        return float(np.ptp(np.subtract(times, np.arange(len(times)) * ticks_s / rate)))

    usual = float(min(_USUAL_FPS, key=strays))
    fits = [rate for rate in (*said, usual) if strays(rate) <= 2 * _ROUNDING]
    fits += [usual] if strays(usual) <= 2 * _JITTER_S * ticks_s else []
    near = [rate for rate in said if not are_even(times) and abs(rate / measured - 1) < _UNEVEN]
    return (*fits, *near, measured)[0]


def are_even(times: Sequence[int]) -> bool:
    """Whether times are evenly spaced, but for the rounding to whole ticks."""
    even = np.linspace(times[0], times[-1], len(times)) if times else np.zeros(0)
    return bool((np.abs(even - times) <= _ROUNDING).all())


def _are_decoded(path: Path, times: list[int], keys: list[int]) -> bool:
    """Whether the first and the last frames decode to the times that packets promise.

    Damaged frames are reported when they are read.
    """
    with suppress(FFmpegError):
        first = [frame.pts for frame in islice(decode_from(path, None), _TRIED)]
        if first != times[:_TRIED]:
            return False
        start = keys[-1] if keys else None
        wanted = times if start is None else times[times.index(start) :]
        if len(wanted) <= _TRIED_LAST:
            last = [frame.pts for frame in decode_from(path, start)]
            return last[-len(wanted) :] == wanted
    return True


def _lacks_frames(stream: VideoStream, packets: list[_Packet]) -> bool:
    """Whether there are fewer frames than a header promises, by their number or by when the last one ends."""
    base = stream.time_base or Fraction(1, 1000)
    ends = [packet.pts + packet.duration for packet in packets if packet.pts is not None]
    if not ends:
        return stream.frames > len(packets)
    missing = 0.0
    if stream.frames > len(packets) and stream.duration is not None:
        missing = float((stream.start_time or 0) + stream.duration - max(ends))
    elif said := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):  # Matroska
        missing = (3600 * int(said[1]) + 60 * int(said[2]) + float(said[3])) / float(base) - max(ends)
    return missing > 2 * (max(ends) - min(ends)) / len(ends) + 2


def _falls_short(path: Path) -> bool:
    """Whether a file ends before its outermost boxes do; those of MP4, AVI and Matroska state their length."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        head = file.read(4096)
        if head.startswith(_MATROSKA):
            at = head.find(_SEGMENT) + len(_SEGMENT)
            if at < len(_SEGMENT) or at >= len(head):  # the head itself is not whole
                return True
            digits = 9 - head[at].bit_length()
            length = int.from_bytes(head[at : at + digits]) & (everything := (1 << 7 * digits) - 1)
            return length != everything and at + digits + length > size
        while at + 8 <= size:
            file.seek(at)
            box = file.read(16)
            if box.startswith(b"RIFF"):
                at += 8 + int.from_bytes(box[4:8], "little")
                at += at % 2
            elif box[4:8].isalpha() and (at or box[4:8] in _BOXES):
                length = int.from_bytes(box[:4])
                at += max(8, int.from_bytes(box[8:]) if length == 1 else length or size - at)
            else:
                return False
    return at > size
