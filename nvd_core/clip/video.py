"""Video files, through PyAV (FFmpeg)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, final

import av
import av.filter
import numpy as np
from av.error import FFmpegError
from jaxtyping import Num

from nvd_core.clip.sequence import safe_name
from nvd_core.clip.types import ClipInfo, Plate
from nvd_core.conventions import Size
from nvd_core.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.context import FilterContext
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# The conversion to RGB that Blender 4.5 and later use, so that both see the same plate (measured: equal).
_SWSCALE = "flags=neighbor+full_chroma_int+accurate_rnd"

_WITH_ALPHA: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


@final
@dataclass(frozen=True)
class Video:
    """A clip in a video file. Frame numbers start at 1."""

    info: ClipInfo
    timestamps: tuple[int, ...]
    """Presentation times of the frames, in the stream's time base, ascending."""

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """See :meth:`nvd_core.clip.Clip.frames`."""
        with _opened(self.info.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            graph = _rgb_graph(stream, self.info.path)
            for frame in self._decoded(numbers, container, lambda: container.decode(stream)):
                yield _filtered(graph, frame)

    def alphas(self, numbers: Iterable[int]) -> Iterator[Num[np.ndarray, "height width 1"]]:
        """Alpha of the frames with these numbers; 0 to the greatest value of its kind.

        Raises:
            InputError: there is none; and as :meth:`frames`.
        """
        with _opened(self.info.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            graph = None
            for frame in self._decoded(numbers, container, lambda: _decode_alpha(container, stream)):
                graph = graph or _alpha_graph(frame, self.info.path)
                yield _filtered(graph, frame)[..., None]

    def _decoded(
        self, numbers: Iterable[int], container: InputContainer, decode: Callable[[], Iterator[av.VideoFrame]]
    ) -> Iterator[av.VideoFrame]:
        """The frames with these numbers; ``decode`` starts where the container was told to seek to."""
        decoded: Iterator[av.VideoFrame] | None = None
        position = -1
        for number in numbers:
            wanted = self.timestamps[number - self.info.first]
            if decoded is None or wanted <= position or self._is_far(position, wanted):
                container.seek(wanted, stream=container.streams.video[0])
                decoded = decode()
            yield _advance(decoded, wanted, number, self.info.path)
            position = wanted

    def _is_far(self, position: int, wanted: int) -> bool:
        """Whether a seek is worth more than decoding what lies between."""
        here = np.searchsorted(self.timestamps, position)
        return bool(np.searchsorted(self.timestamps, wanted) - here > 50)


def open_video(path: Path) -> Video:
    """Open a video file and list its frames without decoding them.

    Raises:
        InputError: the file is missing, no video, cut off, or of a kind not supported.
    """
    if not path.is_file():
        raise InputError("There is no such clip", where=path, hint="Check the path.")
    with _opened(path) as container:
        if not container.streams.video:
            raise InputError("The file holds no video", where=path)
        stream = container.streams.video[0]
        try:
            packets = [packet for packet in container.demux(stream) if packet.size]
        except FFmpegError as error:
            raise InputError("The video is damaged", where=path, hint="Export it again.") from error
        # Discarded are frames that an editor has trimmed away without encoding anew; players skip them.
        timestamps = tuple(sorted(one.pts for one in packets if one.pts is not None and not one.is_discard))
        if not timestamps or len(packets) < stream.frames:
            raise InputError(
                f"The video is cut off: {len(packets)} of {stream.frames} frames are there",
                where=path,
                hint="Copy or export it again.",
            )
        rate = stream.average_rate or stream.guessed_rate
        info = ClipInfo(
            path=path,
            name=safe_name(path.stem),
            size=Size(stream.codec_context.width, stream.codec_context.height),
            fps=float(rate) if rate else 24.0,
            first=1,
            count=len(timestamps),
            files=(path,),
        )
    video = Video(info, timestamps)
    plate = next(video.frames([1]))
    size = Size(plate.shape[1], plate.shape[0])
    return replace(video, info=replace(info, size=size, turned=_turned(path), is_even=_are_even(timestamps)))


def _opened(path: Path) -> InputContainer:
    try:
        return av.open(str(path))
    except (FFmpegError, ValueError) as error:
        raise InputError("The file is no video that can be read", where=path, hint="Check that it plays.") from error


def _rgb_graph(stream: VideoStream, path: Path) -> av.filter.Graph:
    pixels = stream.codec_context.format
    if pixels is None:
        raise InputError("The video does not say what its pixels are", where=path, hint="Export it again.")
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
        for frame in decoded:
            if frame.pts is not None and frame.pts >= wanted:
                return frame
    except FFmpegError as error:
        raise InputError(f"Frame {number} of the video is damaged", where=path, hint="Export it again.") from error
    raise InputError(f"The video ends before frame {number}", where=path, hint="Copy or export it again.")


def _are_even(timestamps: tuple[int, ...]) -> bool:
    """Whether times are equally far apart, but for the rounding to whole ticks."""
    even = np.linspace(timestamps[0], timestamps[-1], len(timestamps))
    return bool(np.abs(even - timestamps).max() <= 1)


def _turned(path: Path) -> int:
    """By how many degrees metadata turn the frames, counterclockwise."""
    with _opened(path) as container:
        degrees = next(container.decode(video=0)).rotation
    if abs(degrees - 90 * round(degrees / 90)) > 1:
        raise InputError(
            f"The video is turned by {degrees} degrees in its metadata", where=path, hint="Export it upright."
        )
    return degrees


def _filtered(graph: av.filter.Graph, frame: av.VideoFrame) -> Num[np.ndarray, "..."]:
    graph.push(frame)
    stored = graph.pull().to_ndarray()
    return np.ascontiguousarray(np.rot90(stored, round(frame.rotation / 90)))
