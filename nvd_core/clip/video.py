"""Video files, through PyAV (FFmpeg)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast, final

import av
import av.filter
import numpy as np
from av.error import FFmpegError
from av.stream import Disposition
from jaxtyping import Num

from nvd_core.clip.headers import MOST_PIXELS
from nvd_core.clip.pictures import check_size
from nvd_core.clip.sequence import safe_name
from nvd_core.clip.types import ClipInfo, Plate
from nvd_core.clip.unchanged import Unchanged
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.protocol import Caution

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.context import FilterContext
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# The conversion to RGB that Blender 4.5 and later use, so that both see the same plate (measured: equal).
_SWSCALE = "flags=neighbor+full_chroma_int+accurate_rnd"

_WITH_ALPHA: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

_CONTAINERS: Final = "mov,matroska,avi,mxf,mpegts,mpeg,mpegvideo,ogg,flv,asf,nut,gif"
"""Those that hold frames themselves: FFmpeg also reads playlists, which may name any other file, and text."""

_HDR: Final = {16: "PQ", 18: "HLG"}
"""Transfer curves, by their tags, whose values cannot be taken for display-encoded ones."""

_UNTAGGED: Final = 2

_NEAR: Final = 50
"""Frames that are rather decoded through than sought."""

_FIELDS: Final = {2: "upper", 5: "upper", 3: "lower", 4: "lower"}
"""Which field of an interlaced frame is shown first, by FFmpeg's number of their order."""


class _Packet(NamedTuple):
    """What a container says of a frame, without its data."""

    pts: int | None
    duration: int
    is_trimmed: bool


@final
@dataclass(frozen=True)
class Video:
    """A clip in a video file. Frame numbers start at 1."""

    info: ClipInfo
    timestamps: tuple[int, ...]
    """Presentation times of the frames, in the stream's time base, ascending."""

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """See :meth:`nvd_core.clip.Clip.frames`."""
        with self._reading() as (container, stream):
            graph, matrix = _rgb_graph(stream, self.info.path), stream.codec_context.colorspace
            for frame in self._decoded(numbers, container, stream, lambda: container.decode(stream)):
                if matrix != _UNTAGGED:  # as Blender has it, what the container says is stronger
                    frame.colorspace = matrix
                yield self._converted(graph, frame)

    def alphas(self, numbers: Iterable[int]) -> Iterator[Num[np.ndarray, "height width 1"]]:
        """Alpha of the frames with these numbers; 0 to the greatest value of its kind.

        Raises:
            InputError: there is none; and as :meth:`frames`.
        """
        with self._reading() as (container, stream):
            graph = None
            for frame in self._decoded(numbers, container, stream, lambda: _decode_alpha(container, stream)):
                graph = graph or _alpha_graph(frame, self.info.path)
                yield self._converted(graph, frame)[..., None]

    @contextmanager
    def _reading(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        with self.info.unchanged.reading(self.info.path), _opened(self.info.path) as opened:
            yield opened

    def _decoded(
        self,
        numbers: Iterable[int],
        container: InputContainer,
        stream: VideoStream,
        decode: Callable[[], Iterator[av.VideoFrame]],
    ) -> Iterator[av.VideoFrame]:
        """The frames with these numbers; ``decode`` starts where the container was told to seek to."""
        decoded: Iterator[av.VideoFrame] | None = None
        position = 0
        for number in numbers:
            wanted = self.timestamps[number - self.info.first]
            if decoded is None or not 0 < number - position <= _NEAR:
                decoded = self._sought(wanted, container, stream, decode)
            frame = _advance(decoded, wanted, number, self.info.path)
            self.info.unchanged.check(self.info.path)
            yield frame
            position = number

    def _sought(
        self, wanted: int, container: InputContainer, stream: VideoStream, decode: Callable[[], Iterator[av.VideoFrame]]
    ) -> Iterator[av.VideoFrame]:
        """Frames from the last key frame before a time; where a container has no index, it may seek beyond it."""
        some_s = int(10 / (stream.time_base or 1))
        for start in (wanted, wanted - some_s, self.timestamps[0] - some_s):
            with suppress(FFmpegError):
                container.seek(start, stream=stream)
                decoded = decode()
                first = next((frame for frame in decoded if frame.key_frame), None)
                if first is not None and first.pts is not None and first.pts <= wanted:
                    return chain([first], decoded)
        with suppress(FFmpegError):  # what has no key frames is decoded from its start
            container.seek(self.timestamps[0] - some_s, stream=stream)
        return decode()

    def _converted(self, graph: av.filter.Graph, frame: av.VideoFrame) -> Num[np.ndarray, "..."]:
        """An upright picture."""
        upright = _upright_size(frame)
        if upright != self.info.size:
            raise InputError(
                f"A frame of the video is {upright}, others are {self.info.size}",
                where=self.info.path,
                hint="Export it in one size.",
            )
        with _damage_told(self.info.path):
            graph.push(frame)
            stored = graph.pull().to_ndarray()
        return np.ascontiguousarray(np.rot90(stored, round(frame.rotation / 90)))


def open_video(path: Path, unchanged: Unchanged | None = None) -> Video:
    """Open a video file and list its frames without decoding them.

    Args:
        path: of the file.
        unchanged: what is known of the job's other files.

    Raises:
        InputError: the file is missing, no video, cut off, or of a kind not supported.
    """
    if not path.is_file():
        raise InputError("There is no such clip", where=path, hint="Check the path.")
    unchanged = Unchanged() if unchanged is None else unchanged
    unchanged.check(path)
    with _opened(path) as (container, stream), _damage_told(path):
        packets = [_Packet(one.pts, one.duration or 0, one.is_discard) for one in container.demux(stream) if one.size]
        if _is_cut_off(stream, packets):
            raise InputError(
                f"The video is cut off: only {len(packets)} of its frames are there",
                where=path,
                hint="Copy or export it again.",
            )
    # Discarded are frames that an editor has trimmed away without encoding anew; players skip them.
    times = [packet.pts for packet in packets if not packet.is_trimmed]
    with _opened(path) as (container, stream), _damage_told(path):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise InputError("The video holds no frame", where=path, hint="Export it again.")
        known = [time for time in times if time is not None]
        if len(known) < len(times) or frame.pts != min(known, default=None):  # or it begins in mid-air
            known = [one.pts for one in chain([frame], container.decode(stream)) if one.pts is not None]
        timestamps = tuple(sorted(known))
        if not timestamps:
            raise InputError("The video does not say when its frames are shown", where=path, hint="Export it again.")
        rate = stream.average_rate or stream.guessed_rate
        info = ClipInfo(
            path=path,
            name=safe_name(path.stem),
            size=_upright_size(frame),
            fps=float(rate) if rate else 24.0,
            first=1,
            count=len(timestamps),
            files=(path,),
            turned=_turned(frame, path),
            is_even=_are_even(timestamps),
            cautions=tuple(_cautions(container, stream, frame)),
            unchanged=unchanged,
        )
    return Video(info, timestamps)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video file and the first film in it."""
    try:
        container = av.open(str(path), container_options={"format_whitelist": _CONTAINERS})
    except (FFmpegError, ValueError) as error:
        raise InputError("The file is no video that can be read", where=path, hint="Check that it plays.") from error
    with container:
        films = _films(container)
        if not films:
            raise InputError("The file holds no video that can be decoded", where=path, hint="Check that it plays.")
        context = films[0].codec_context
        check_size(Size(context.width, context.height), path)
        context.options = {"max_pixels": str(MOST_PIXELS)}
        context.thread_type = "AUTO"
        if _HDR.get(context.color_trc):
            raise InputError(
                f"The video is HDR ({_HDR[context.color_trc]}), which is not supported",
                where=path,
                hint="Convert it to Rec.709, or to scene-linear EXR.",
            )
        yield container, films[0]


def _films(container: InputContainer) -> list[VideoStream]:
    """The videos of a known kind, which cover pictures are not."""
    films = container.streams.video
    return [film for film in films if film.codec_context and not film.disposition & Disposition.attached_pic]


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, ValueError) as error:
        hint = "Check that it plays, and export it again."
        raise InputError("The video is damaged, or of a kind that cannot be decoded", where=path, hint=hint) from error


def _is_cut_off(stream: VideoStream, packets: list[_Packet]) -> bool:
    """Whether frames are missing at the end: a container says how many there are, or when the last one ends."""
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


def _cautions(container: InputContainer, stream: VideoStream, frame: av.VideoFrame) -> Iterator[Caution]:
    """What of the video Blender and this program take as it is, though others would not."""
    if frame.interlaced_frame:
        first = _FIELDS.get(stream.codec_context.field_order)
        order = f", {first} field first" if first else ""
        yield Caution(
            message=f"The video is interlaced{order}: what moves is combed",
            hint="Deinterlace it first, and decompose that.",
        )
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        yield Caution(
            message=f"The video's pixels are not square ({aspect.numerator}:{aspect.denominator}); frames are taken "
            "as they are stored",
            hint="Set the same pixel aspect where the result is shown.",
        )
    count = len(_films(container))
    if count > 1:
        yield Caution(
            message=f"The file holds {count} videos; the first is taken", hint="Export the one that you want."
        )


def _rgb_graph(stream: VideoStream, path: Path) -> av.filter.Graph:
    pixels = stream.codec_context.format
    if pixels is None:
        raise InputError("The video does not say what its pixels are", where=path, hint="Export it again.")
    with _damage_told(path):
        graph = av.filter.Graph()
        source = graph.add_buffer(template=stream)
        return _linked(graph, source, graph.add("scale", _SWSCALE), "rgb48le" if _is_deep(pixels) else "rgb24")


def _alpha_graph(frame: av.VideoFrame, path: Path) -> av.filter.Graph:
    if not any(component.is_alpha for component in frame.format.components):
        raise InputError("The video has no alpha", where=path, hint="Give the object a mask.")
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    return _linked(graph, source, graph.add("alphaextract"), "gray16le" if _is_deep(frame.format) else "gray")


def _is_deep(pixels: av.VideoFormat) -> bool:
    return any(component.bits > 8 for component in pixels.components)


def _linked(graph: av.filter.Graph, source: FilterContext, step: FilterContext, pixels: str) -> av.filter.Graph:
    """A graph of one step whose frames come out with these pixels."""
    layout, sink = graph.add("format", pixels), graph.add("buffersink")
    source.link_to(step)
    step.link_to(layout)
    layout.link_to(sink)
    graph.configure()
    return graph


def _decode_alpha(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Frames with the alpha that WebM keeps beside the picture, where FFmpeg's own decoders do not look."""
    name = stream.codec_context.name
    if stream.metadata.get("alpha_mode") != "1" or name not in _WITH_ALPHA:
        yield from container.decode(stream)
        return
    decoder = cast("VideoCodecContext", av.CodecContext.create(_WITH_ALPHA[name], "r"))
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _advance(decoded: Iterator[av.VideoFrame], wanted: int, number: int, path: Path) -> av.VideoFrame:
    try:
        frame = next((frame for frame in decoded if frame.pts is not None and frame.pts >= wanted), None)
    except FFmpegError as error:
        raise InputError(f"Frame {number} of the video is damaged", where=path, hint="Export it again.") from error
    if frame is None:
        raise InputError(f"The video ends before frame {number}", where=path, hint="Copy or export it again.")
    if frame.pts != wanted or frame.is_corrupt:
        raise InputError(f"Frame {number} of the video is damaged", where=path, hint="Export it again.")
    return frame


def _are_even(timestamps: tuple[int, ...]) -> bool:
    """Whether times are equally far apart, but for the rounding to whole ticks."""
    even = np.linspace(timestamps[0], timestamps[-1], len(timestamps))
    return bool(np.abs(even - timestamps).max() <= 1)


def _turned(frame: av.VideoFrame, path: Path) -> int:
    """By how many degrees metadata turn the frames, counterclockwise."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    degrees = frame.rotation
    if abs(degrees - 90 * round(degrees / 90)) > 1:
        raise InputError(
            f"The video is turned by {degrees} degrees in its metadata", where=path, hint="Export it upright."
        )
    if matrix is not None:
        a, b, _, c, d, *_ = struct.unpack("9i", bytes(matrix))
        if a * d - b * c < 0:
            raise InputError(
                "The video is mirrored in its metadata, which Blender does not show", where=path, hint="Export it anew."
            )
    return degrees


def _upright_size(frame: av.VideoFrame) -> Size:
    lies = round(frame.rotation / 90) % 2
    return Size(frame.height, frame.width) if lies else Size(frame.width, frame.height)
