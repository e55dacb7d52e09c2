"""Clips of video files, decoded by PyAV (FFmpeg)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast, final

import av
import av.filter
import numpy as np
from av.error import FFmpegError
from av.sidedata.sidedata import Type
from av.stream import Disposition
from jaxtyping import Num

from nvd_core.clip.container import (
    Decode,
    Frames,
    are_even,
    damage_told,
    decode,
    decode_from,
    films,
    list_frames,
    opened,
    rate_of,
)
from nvd_core.clip.sequence import safe_name
from nvd_core.clip.types import ClipInfo, Plate
from nvd_core.clip.unchanged import Unchanged
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter.context import FilterContext
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# The conversion to RGB that Blender 4.5 and later use, so that both see the same plate (measured: equal).
_SWSCALE = "flags=neighbor+full_chroma_int+accurate_rnd"

_WITH_ALPHA: Final = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Decoders that read the alpha of WebM, by codec."""

_UNTAGGED: Final = 2
"""FFmpeg's number of a YUV matrix that the file does not name."""

_NEAR: Final = 50
"""Longest way ahead, in frames, that is decoded through rather than sought."""

_REORDERED: Final = 16
"""Most frames that are decoded before one that is shown earlier: the reordering depth of H.264 and H.265."""

_FIELDS: Final = {2: "upper", 5: "upper", 3: "lower", 4: "lower"}
"""Which field of an interlaced frame is shown first, by FFmpeg's number of their order."""

_OWN_PALETTE: Final = {"msrle", "gif"}
"""Codecs of 256 colours that Blender shows as they are."""

_NO_MOVIES: Final = {".ivf", ".y4m", ".asf", ".h264", ".hevc", ".obu"}
"""Suffixes that Blender does not take for movies."""

_NO_NAME: Final = sorted(set(range(64)) - {kind.value for kind in Type})
"""Kinds of side data that FFmpeg has, or may have one day, and PyAV does not know: it fails at a frame with any."""


@final
@dataclass(frozen=True)
class Video:
    """Clip of a video file; frame numbers start at 1."""

    info: ClipInfo
    there: Frames
    matrix: int
    """YUV matrix, by FFmpeg's number in the container's tag."""

    def frames(self, numbers: Iterable[int]) -> Iterator[Plate]:
        """See :meth:`nvd_core.clip.Clip.frames`."""
        graphs: dict[str, av.filter.Graph] = {}
        for frame in self._decoded(numbers, decode, self.there.keys):
            if self.matrix != _UNTAGGED:  # as in Blender, the container's tag overrides the frame's
                frame.colorspace = self.matrix
            yield self._converted(graphs, frame, _rgb_graph)

    def alphas(self, numbers: Iterable[int]) -> Iterator[Num[np.ndarray, "height width 1"]]:
        """Decode the alpha of the frames with these numbers, 0 to the largest value of its integer type.

        Raises:
            InputError: there is none; and as :meth:`frames`.
        """
        graphs: dict[str, av.filter.Graph] = {}
        with opened(self.info.path) as (_, stream):  # the decoders of alpha beside the picture mark no key frames
            keys = () if stream.codec_context.name in _WITH_ALPHA else self.there.keys
        for frame in self._decoded(numbers, _decode_alpha, keys):
            if not any(component.is_alpha for component in frame.format.components):
                raise InputError("The video has no alpha", where=self.info.path, hint="Give the object a mask.")
            yield self._converted(graphs, frame, _alpha_graph)[..., None]

    def _decoded(self, numbers: Iterable[int], how: Decode, keys: tuple[int, ...]) -> Iterator[av.VideoFrame]:
        """Decode the frames with these numbers, and seek where that is the shorter way."""
        path, position = self.info.path, 0
        decoded, held = iter(()), dict[int, av.VideoFrame]()
        with self.info.unchanged.reading(path):
            for number in numbers:
                wanted = number - 1 if self.there.are_counted else self.there.times[number - 1]
                is_far = keys and number - position > _NEAR
                if not position or number <= position or is_far:
                    decoded, held = self._marked(self._from(wanted, how, keys)), {}
                frame = _advance(decoded, held, wanted, number, path)
                self.info.unchanged.check(path)
                yield frame
                position = number

    def _from(self, wanted: int, how: Decode, keys: tuple[int, ...]) -> Iterator[av.VideoFrame]:
        """Decode from the last key frame before a time on; containers may seek beyond it, which is checked."""
        for key in [key for key in keys if key <= wanted][:-3:-1]:
            try:
                decoded = decode_from(self.info.path, key, how)
                first = next(decoded, None)
            except FFmpegError:
                continue
            if first is not None and first.pts is not None and first.pts <= wanted:
                return chain([first], decoded)
        return decode_from(self.info.path, None, how)

    def _marked(self, decoded: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pair frames with what identifies them: their times, or their order."""
        if self.there.are_counted:
            return enumerate(decoded)
        return ((frame.pts, frame) for frame in decoded if frame.pts is not None)

    def _converted(
        self,
        graphs: dict[str, av.filter.Graph],
        frame: av.VideoFrame,
        graph_for: Callable[[av.VideoFrame], av.filter.Graph],
    ) -> Num[np.ndarray, "..."]:
        """Convert a frame to an upright picture by a filter graph of its pixel format."""
        upright = _upright_size(frame)
        if upright != self.info.size:
            raise InputError(
                f"A frame of the video is {upright}, others are {self.info.size}",
                where=self.info.path,
                hint="Export it in one size.",
            )
        with damage_told(self.info.path):
            pixels = frame.format.name  # which may change on the way
            if pixels not in graphs:
                graphs[pixels] = graph_for(frame)
            graphs[pixels].push(frame)
            stored = graphs[pixels].pull().to_ndarray()
        return np.ascontiguousarray(np.rot90(stored, round(frame.rotation / 90)))


def open_video(path: Path, unchanged: Unchanged | None = None) -> Video:
    """Open a video file and list its frames, decoding as few as that takes.

    Args:
        path: of the file.
        unchanged: guard of the job's files; a new one if None.

    Raises:
        InputError: the file is missing, no video, cut off, or of a kind not supported.
    """
    if not path.is_file():
        raise InputError("There is no such clip", where=path, hint="Check the path.")
    unchanged = Unchanged() if unchanged is None else unchanged
    unchanged.check(path)
    there = list_frames(path)
    if not there.count:
        raise InputError("The video holds no frame that can be decoded", where=path, hint="Export it again.")
    with opened(path) as (container, stream), damage_told(path):
        matrix = stream.codec_context.colorspace
        frame = next(decode(container, stream))
        info = ClipInfo(
            path=path,
            name=safe_name(path.stem),
            size=_upright_size(frame),
            fps=rate_of(stream, there.times),
            first=1,
            count=there.count,
            files=(path,),
            turned=_turned(frame, path),
            is_even=are_even(there.times),
            unlike=_unlike(stream, there, path),
            cautions=tuple(_cautions(container, stream, frame, there)),
            unchanged=unchanged,
        )
    return Video(info, there, matrix)


def _unlike(stream: VideoStream, there: Frames, path: Path) -> str:
    """Why Blender shows other pictures (measured with 4.2 and 5.2); empty if it shows the same."""
    context = stream.codec_context
    if context.pix_fmt == "pal8" and context.name not in _OWN_PALETTE:
        return "The video has 256 colours, which Blender shows as black"
    if context.name == "gif" and there.count == 1:
        return "The GIF holds a single picture, of which Blender may show nothing"
    if context.name == "gif" and _is_transparent(path):
        return "The GIF is transparent somewhere, where Blender shows another colour"
    if not there.are_timed:
        return "The times of the video's frames are wrong, so that Blender shows them in another order"
    if path.suffix.lower() in _NO_MOVIES:
        return f"Blender does not show videos that are called {path.suffix}"
    return ""


def _is_transparent(path: Path) -> bool:
    """Whether any pixel of a GIF is transparent; all its frames are decoded, as they are small."""
    return any((frame.to_ndarray(format="bgra")[..., 3] < 255).any() for frame in decode_from(path, None, decode))


def _cautions(container: InputContainer, stream: VideoStream, frame: av.VideoFrame, there: Frames) -> Iterator[Caution]:
    """Warn about what Blender and this program take as it is in a video, though other programs do not."""
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
    if (count := len(films(container))) > 1:
        taken = "the first" if stream == films(container)[0] else "the first that can be decoded"
        yield Caution(message=f"The file holds {count} videos; {taken} is taken", hint="Export the one that you want.")
    if stream.disposition & Disposition.multilayer:
        yield Caution(
            message="The video is spatial: it has a view for each eye, of which the first is taken",
            hint="Export the other view as a video of its own to decompose it, too.",
        )
    if there.lacks_start and not frame.key_frame:
        yield Caution(
            message="The video does not begin with a key frame: its first frames may be wrong",
            hint="Begin later, or copy it again from its source.",
        )
    if there.is_doubtful:
        yield Caution(
            message=f"The video says that there is more of it than the {there.count} frames that it holds",
            hint="If it was cut off, copy or export it again.",
        )


def _rgb_graph(frame: av.VideoFrame) -> av.filter.Graph:
    """Build the filter graph to RGB of 8 or 16 bits."""
    return _graph(frame, [("scale", _SWSCALE)], "rgb48le" if _is_deep(frame.format) else "rgb24")


def _alpha_graph(frame: av.VideoFrame) -> av.filter.Graph:
    """Build the filter graph to alpha of 8 or 16 bits."""
    return _graph(frame, [("alphaextract", "")], "gray16le" if _is_deep(frame.format) else "gray")


def _is_deep(pixels: av.VideoFormat) -> bool:
    """Whether a pixel format has more than 8 bits a component."""
    return any(component.bits > 8 for component in pixels.components)


def _graph(frame: av.VideoFrame, steps: Iterable[tuple[str, str]], pixels: str) -> av.filter.Graph:
    """Build a filter graph for frames like this one, to frames of a pixel format."""
    graph = av.filter.Graph()
    last: FilterContext = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    for name, options in (*steps, ("format", pixels), ("buffersink", "")):
        step = graph.add(name, options)
        last.link_to(step)
        last = step
    graph.configure()
    return graph


def _decode_alpha(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Decode frames with the alpha that WebM stores beside the picture, which FFmpeg's own decoders ignore."""
    name = stream.codec_context.name
    if stream.metadata.get("alpha_mode") != "1" or name not in _WITH_ALPHA:
        yield from decode(container, stream)
        return
    decoder = cast("VideoCodecContext", av.CodecContext.create(_WITH_ALPHA[name], "r"))
    for packet in container.demux(stream):
        yield from decoder.decode(packet if packet.size else None)


def _advance(
    decoded: Iterator[tuple[int, av.VideoFrame]], held: dict[int, av.VideoFrame], wanted: int, number: int, path: Path
) -> av.VideoFrame:
    """Decode up to the frame with the mark ``wanted``; those decoded before it and shown after it are held."""
    for mark in [mark for mark in held if mark < wanted]:
        del held[mark]
    try:
        while wanted not in held:
            mark, frame = next(decoded)
            if mark >= wanted:
                held[mark] = frame
            if len(held) > _REORDERED:
                break
    except StopIteration:
        pass
    except FFmpegError as error:
        raise InputError(f"Frame {number} of the video is damaged", where=path, hint="Export it again.") from error
    if not held:
        raise InputError(f"The video ends before frame {number}", where=path, hint="Copy or export it again.")
    frame = held.pop(wanted, None)
    if frame is None or frame.is_corrupt:
        raise InputError(f"Frame {number} of the video is damaged", where=path, hint="Export it again.")
    return frame


def _turned(frame: av.VideoFrame, path: Path) -> int:
    """Rotation by metadata, degrees counterclockwise; refuse mirroring, and angles that are no multiple of 90."""
    with_names = _graph(frame, [("sidedata", f"delete:{kind}") for kind in _NO_NAME], frame.format.name)
    with_names.push(frame)
    matrix = with_names.pull().side_data.get("DISPLAYMATRIX")
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
    """Size of a frame once it is rotated upright."""
    lies = round(frame.rotation / 90) % 2
    return Size(frame.height, frame.width) if lies else Size(frame.width, frame.height)
