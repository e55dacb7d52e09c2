"""Videos whose headers, packets, order of times or side data mislead: what is read is what a player shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import picture
from PIL import Image
from support import SIZE, number_of, numbered, solve, write_video

from nvd_core.clip import Clip, open_clip
from nvd_core.image.colour import to_display
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.settings import Job, Settings, Shown

COUNT = 12


def encoded(
    path: Path,
    codec: str,
    pixels: str,
    times: Iterable[int] = range(COUNT),
    *,
    tick: Fraction = Fraction(1, 25),
    size: Size = SIZE,
    of: Callable[[int, Size], np.ndarray] = numbered,
    **options: str,
) -> Path:
    """A film whose frames say their numbers, from 0, and are shown at these times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=1 / tick, options=options)
        stream.pix_fmt, stream.width, stream.height = pixels, *size
        stream.codec_context.time_base = tick
        for index, time in enumerate(times):
            frame = indexed(index) if pixels == "pal8" else av.VideoFrame.from_ndarray(of(index, size), format="rgb24")
            frame.pts, frame.time_base = time, tick
            container.mux(stream.encode(frame if pixels == "pal8" else frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


PALETTE = np.random.default_rng(0).integers(40, 255, (256, 3), dtype=np.uint8)
PALETTE[0], PALETTE[255] = 0, 255


def indexed(index: int) -> av.VideoFrame:
    """Bars of the first and the last index over rows of all others."""
    frame = av.VideoFrame(*SIZE, "pal8")
    indices = np.linspace(1, 254, SIZE.height).astype(np.uint8)[:, None].repeat(SIZE.width, axis=1)
    bars = slice(SIZE.height // 4, 3 * SIZE.height // 4)
    indices[bars] = numbered(index)[bars, :, 1]
    frame.planes[0].update(np.pad(indices, ((0, 0), (0, frame.planes[0].line_size - SIZE.width))).tobytes())
    alpha = np.full((256, 1), 255, np.uint8)
    frame.planes[1].update(np.hstack([PALETTE[:, ::-1], alpha]).tobytes())
    return frame


def remuxed(path: Path, film: Path, change: Callable[[list[av.Packet]], Iterable[av.Packet]]) -> Path:
    """The same packets, but for a change, in another file."""
    with av.open(str(film)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in change([packet for packet in source.demux(video=0) if packet.size]):
            packet.stream = stream
            container.mux(packet)
    return path


def patched(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def numbers_of(clip: Clip) -> list[int]:
    return [number_of(plate) for plate in clip.frames(clip.info.numbers)]


def played(path: Path) -> list[int]:
    """The numbers of the frames that PyAV decodes, whatever it is asked for."""
    with av.open(str(path)) as container:
        return [number_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def check_any_order(clip: Clip) -> None:
    """Frames are to the bit what they are in order, from wherever one asks."""
    plates = dict(zip(clip.info.numbers, clip.frames(clip.info.numbers), strict=True))
    last = clip.info.numbers[-1]
    for numbers in (clip.info.numbers[::-1], [last], [1, last, 2], [last // 2, 1]):
        for number, plate in zip(numbers, clip.frames(numbers), strict=True):
            assert np.array_equal(plate, plates[number]), number


# -- when frames are shown ---------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 60, 12, Fraction(27, 2)])
@pytest.mark.parametrize("suffix", ["mkv", "flv"])
def test_the_rate_is_that_of_the_frames_not_the_headers(suffix: str, rate: Fraction, tmp_path: Path) -> None:
    """As browsers record them: whole milliseconds, and no word on how long a frame lasts."""
    times = [round(index * 1000 / rate) for index in range(40)]
    film = encoded(tmp_path / f"film.{suffix}", "libx264", "yuv420p", times, tick=Fraction(1, 1000))
    with av.open(str(film)) as container:
        assert container.streams.video[0].average_rate in {1000, None}, "its header lies"
    info = open_clip(film).info
    assert (info.count, info.is_even) == (40, True)
    assert info.fps == pytest.approx(float(rate), rel=0 if rate.denominator == 1 else 1e-3)


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), 24, 30, Fraction(60000, 1001)])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "ts"])
def test_a_recording_that_was_copied_to_finer_ticks_keeps_its_rate(suffix: str, rate: Fraction, tmp_path: Path) -> None:
    """Its times are still whole milliseconds; MP4 gives the last frame a tick, and its rate is off by that."""
    times = [round(index * 1000 / rate) for index in range(40)]
    film = encoded(tmp_path / "film.mkv", "libx264", "yuv420p", times, tick=Fraction(1, 1000))
    info = open_clip(remuxed(tmp_path / f"copy.{suffix}", film, lambda packets: packets)).info
    assert not info.is_even, "Blender doubles frames of it"
    assert info.fps == pytest.approx(float(rate), rel=0 if rate.denominator == 1 else 1e-9)


def test_a_short_film_of_a_lying_header_keeps_its_rate_to_the_end(tmp_path: Path) -> None:
    times = [round(index * 1000 / 30) for index in range(COUNT)]
    film = encoded(tmp_path / "film.mkv", "libx264", "yuv420p", times, tick=Fraction(1, 1000))
    solve(Job(clip=str(film), settings=Settings.of(preset="preview", frames="1-2")), tmp_path / "out")
    assert Decomposition.open(tmp_path / "out").manifest.source.fps == 30


@pytest.mark.parametrize(
    ("count", "has_hole", "words"),
    [(3, False, ""), (1, False, "a single picture"), (3, True, "is transparent somewhere")],
)
def test_gifs_that_blender_shows_otherwise_are_refused_there(
    count: int, has_hole: bool, words: str, tmp_path: Path
) -> None:
    """Not those whose frames only leave out what has not changed."""
    pictures = [
        Image.fromarray(np.dstack([numbered(index), np.full(SIZE[::-1], 255, np.uint8)])) for index in range(count)
    ]
    if has_hole:
        pictures[0].putalpha(Image.new("L", SIZE))
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    info = open_clip(tmp_path / "a.gif").info
    assert (info.count, bool(info.unlike)) == (count, bool(words))
    if words:
        with pytest.raises(InputError, match=words):
            solve(Job(clip=str(info.path), shown=Shown()), tmp_path / "out")


def test_uneven_times_are_told_as_such_with_the_rate_they_have_on_the_whole(tmp_path: Path) -> None:
    times = np.cumsum([20, 60, 40, 90] * 5).tolist()
    info = open_clip(encoded(tmp_path / "film.mkv", "libx264", "yuv420p", times, tick=Fraction(1, 1000))).info
    assert not info.is_even
    assert info.fps == pytest.approx(1000 / 52.5, rel=0.1)


def test_a_film_that_is_shown_with_other_frames_is_refused_with_what_helps(tmp_path: Path) -> None:
    times = [round(index * 1000 / 30) for index in range(COUNT)]
    film = encoded(tmp_path / "film.mkv", "libx264", "yuv420p", times, tick=Fraction(1, 1000))
    job = Job(clip=str(film), shown=Shown(width=SIZE.width, height=SIZE.height, frames=44))
    with pytest.raises(InputError, match="has 12 frames, but is shown with 44") as refusal:
        solve(job, tmp_path / "out")
    assert "constant frame rate" in refusal.value.hint


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "words"),
    [
        ("film.avi", "rawvideo", "pal8", "256 colours, which Blender shows as black"),
        ("film.avi", "libx264", "yuv420p", "Blender shows them in another order"),
        ("film.y4m", "rawvideo", "yuv420p", "Blender does not show videos that are called .y4m"),
        ("film.avi", "msrle", "pal8", ""),
        ("film.gif", "gif", "rgb8", ""),
        ("film.mp4", "libx264", "yuv420p", ""),
    ],
)
def test_what_blender_shows_otherwise_is_refused_there_alone(
    name: str, codec: str, pixels: str, words: str, tmp_path: Path
) -> None:
    options = {"bf": "2", "g": "12"} if codec == "libx264" else {}
    film = encoded(tmp_path / name, codec, pixels, range(30), **options)
    assert words in open_clip(film).info.unlike
    assert bool(words) == bool(open_clip(film).info.unlike)
    if words:
        with pytest.raises(InputError, match=words):
            solve(Job(clip=str(film), shown=Shown()), tmp_path / "out")


# -- which frames there are --------------------------------------------------------------------------

RARE = {
    "flashsv": ("flv", "bgr24"),
    "flashsv2": ("flv", "bgr24"),
    "msvideo1": ("avi", "rgb555le"),
    "cinepak": ("avi", "rgb24"),
    "zmbv": ("avi", "bgr0"),
    "qtrle": ("mov", "rgb24"),
    "rpza": ("mov", "rgb555le"),
    "svq1": ("mov", "yuv410p"),
    "cfhd": ("mov", "yuv422p10le"),
    "tiff": ("mov", "rgb24"),
    "gif": ("gif", "rgb8"),
    "rawvideo": ("y4m", "yuv420p"),
    "libvpx": ("ivf", "yuv420p"),
    "libx264": ("h264", "yuv420p"),
    "libx265": ("hevc", "yuv420p"),
    "mpeg4": ("avi", "yuv420p"),
    "wmv2": ("asf", "yuv420p"),
}
"""Codecs that mark no key frame, know no times, or carry what PyAV has no name for, and others that are rare."""


@pytest.mark.parametrize("codec", RARE)
def test_every_frame_of_rare_codecs_is_read_in_any_order(codec: str, tmp_path: Path) -> None:
    suffix, pixels = RARE[codec]
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {"g": "5"}
    clip = open_clip(encoded(tmp_path / f"film.{suffix}", codec, pixels, size=Size(160, 96), **options))
    assert (clip.info.size, clip.info.fps) == (SIZE, 25)
    assert numbers_of(clip) == list(range(COUNT))
    check_any_order(clip)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("rawvideo", "avi"), ("rawvideo", "mov"), ("msrle", "avi"), ("smc", "mov")]
)
def test_a_film_of_256_colours_has_those_of_its_palette(codec: str, suffix: str, tmp_path: Path) -> None:
    clip = open_clip(encoded(tmp_path / f"film.{suffix}", codec, "pal8"))
    assert numbers_of(clip) == list(range(COUNT))
    check_any_order(clip)
    (plate,) = clip.frames([5])
    rows = np.linspace(1, 254, SIZE.height).astype(np.uint8)
    for row in (0, SIZE.height - 1):
        assert np.array_equal(plate[row, 0], PALETTE[rows[row]])


MANY = {
    "open groups": ("libx264", "mkv", {"x264-params": "open-gop=1:keyint=10:bframes=3"}),
    "no key frames but the first": ("libx264", "mp4", {"x264-params": "intra-refresh=1:keyint=15"}),
    "leading frames": ("libx265", "mp4", {"x265-params": "open-gop=1:keyint=10:bframes=3:log-level=none"}),
    "h264 in avi": ("libx264", "avi", {"bf": "2", "g": "12"}),
    "mpeg2": ("mpeg2video", "mpg", {"bf": "2", "g": "12"}),
    "mpeg4": ("mpeg4", "mp4", {"bf": "2", "g": "12"}),
    "transport": ("libx264", "ts", {"bf": "2", "g": "12"}),
    "vp9": ("libvpx-vp9", "webm", {"cpu-used": "8", "g": "12", "auto-alt-ref": "1", "lag-in-frames": "16"}),
}
"""Films that are sought in, because they are longer than what is decoded through."""


@pytest.mark.parametrize("kind", MANY)
def test_what_is_sought_is_to_the_bit_what_is_decoded_in_order(kind: str, tmp_path: Path) -> None:
    codec, suffix, options = MANY[kind]
    clip = open_clip(encoded(tmp_path / f"film.{suffix}", codec, "yuv420p", range(70), **options))
    assert numbers_of(clip) == list(range(70))
    plates = dict(zip(clip.info.numbers, clip.frames(clip.info.numbers), strict=True))
    for number in (70, 11, 69, 34, 1, 62):
        (plate,) = clip.frames([number])
        assert np.array_equal(plate, plates[number]), number


def test_packets_that_show_nothing_are_no_frames(tmp_path: Path) -> None:
    """Frames that an encoder has left out (MPEG-4's not coded ones), in the middle and at the end."""
    film = encoded(tmp_path / "whole.mkv", "mpeg4", "yuv420p", range(0, 2 * COUNT, 2), tick=Fraction(1, 50))

    def with_more(packets: list[av.Packet]) -> Iterable[av.Packet]:
        for index, packet in enumerate(packets):
            yield packet
            if index in {5, len(packets) - 1}:
                more = av.Packet(b"\0\0\1\xb6\x50\x67")
                more.pts = more.dts = packet.pts + packet.duration // 2
                more.time_base = packet.time_base
                yield more

    clip = open_clip(remuxed(tmp_path / "film.mkv", film, with_more))
    with av.open(str(clip.info.path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == COUNT + 2
    assert numbers_of(clip) == played(clip.info.path) == [*range(COUNT), COUNT - 1], "the last one is shown on"
    check_any_order(clip)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_a_film_that_begins_in_mid_air_begins_as_players_begin_it(suffix: str, tmp_path: Path) -> None:
    film = encoded(tmp_path / "whole.mkv", "libx264", "yuv420p", range(30), g="10", bf="0", sc_threshold="0")
    clip = open_clip(remuxed(tmp_path / f"film.{suffix}", film, lambda packets: packets[3:]))
    assert numbers_of(clip) == played(clip.info.path) == list(range(10, 30))
    check_any_order(clip)


def test_a_film_whose_first_frames_lean_on_missing_ones_is_told_of(tmp_path: Path) -> None:
    film = encoded(tmp_path / "whole.mkv", "mpeg4", "yuv420p", range(30), g="10", sc_threshold="1000000000")
    clip = open_clip(remuxed(tmp_path / "film.mkv", film, lambda packets: packets[3:]))
    assert numbers_of(clip) == played(clip.info.path)
    assert clip.info.cautions[0].message.startswith("The video does not begin with a key frame")


def test_frames_that_an_avi_has_dropped_are_not_missing(tmp_path: Path) -> None:
    """Chunks of no length, which say that the frame before is shown on."""
    clip = open_clip(encoded(tmp_path / "film.avi", "mpeg4", "yuv420p", [0, 1, 2, 6, 7, 8, 12, 13]))
    assert numbers_of(clip) == list(range(8))
    assert (clip.info.is_even, clip.info.cautions) == (False, ())


def test_frames_that_all_have_one_time_are_taken_as_they_come(tmp_path: Path) -> None:
    film = encoded(tmp_path / "whole.mov", "mjpeg", "yuvj420p")

    def at_once(packets: list[av.Packet]) -> Iterable[av.Packet]:
        for packet in packets:
            packet.pts = packet.dts = 0
            yield packet

    clip = open_clip(remuxed(tmp_path / "film.mkv", film, at_once))
    assert numbers_of(clip) == list(range(COUNT))
    check_any_order(clip)


# -- what is damaged, and what is not ----------------------------------------------------------------


def lying_matroska(at: Path) -> Path:
    film = encoded(at / "film.mkv", "libx264", "yuv420p")
    return patched(film, b"00:00:00.480", b"00:01:00.480")


def lying_avi(at: Path) -> Path:
    film = encoded(at / "film.avi", "mjpeg", "yuvj420p")
    data = bytearray(film.read_bytes())
    length = data.index(b"strh") + 8 + 32
    data[length : length + 4] = (500).to_bytes(4, "little")
    film.write_bytes(data)
    return film


@pytest.mark.parametrize("film", [lying_matroska, lying_avi])
def test_a_header_that_promises_more_is_told_of_and_no_damage(film: Callable[[Path], Path], tmp_path: Path) -> None:
    clip = open_clip(film(tmp_path))
    assert numbers_of(clip) == list(range(COUNT))
    assert [caution.message for caution in clip.info.cautions] == [
        "The video says that there is more of it than the 12 frames that it holds"
    ]


@pytest.mark.parametrize("suffix", ["mkv", "avi", "mp4", "mov"])
@pytest.mark.parametrize("left", [0.5, 0.9])
def test_a_film_that_was_cut_off_is_refused(left: float, suffix: str, tmp_path: Path) -> None:
    film = encoded(tmp_path / f"film.{suffix}", "mjpeg", "yuvj420p")
    data = film.read_bytes()
    film.write_bytes(data[: int(len(data) * left)])
    with pytest.raises(InputError, match="cut off"):
        open_clip(film)


def test_a_fragmented_film_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", map(numbered, range(30)), movflags="frag_keyframe+empty_moov")
    assert open_clip(film).info.cautions == ()
    data = film.read_bytes()
    film.write_bytes(data[: data.rindex(b"moof") + 500])
    with pytest.raises(InputError, match="cut off"):
        open_clip(film)


def test_frames_of_two_sizes_are_refused_with_both(tmp_path: Path) -> None:
    one = encoded(tmp_path / "one.h264", "libx264", "yuv420p")
    other = encoded(tmp_path / "other.h264", "libx264", "yuv420p", size=Size(96, 64))
    (tmp_path / "film.h264").write_bytes(one.read_bytes() + other.read_bytes())
    clip = open_clip(tmp_path / "film.h264")
    with pytest.raises(InputError, match="A frame of the video is 96x64, others are 160x96"):
        list(clip.frames(clip.info.numbers))


# -- what goes with the frames -----------------------------------------------------------------------


def test_side_data_that_nobody_has_a_name_for_do_no_harm(tmp_path: Path) -> None:
    """Exif in a camera's motion JPEG, which PyAV cannot name; as the views of a spatial video."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif

    def with_exif(packets: list[av.Packet]) -> Iterable[av.Packet]:
        for packet in packets:
            changed = av.Packet(bytes(packet)[:2] + segment + bytes(packet)[2:])
            changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
            changed.is_keyframe, changed.duration = True, packet.duration
            yield changed

    film = encoded(tmp_path / "whole.mov", "mjpeg", "yuvj420p")
    clip = open_clip(remuxed(tmp_path / "film.mov", film, with_exif))
    with av.open(str(clip.info.path)) as container, pytest.raises(ValueError, match="not a valid"):
        _ = next(container.decode(video=0)).side_data
    assert numbers_of(clip) == list(range(COUNT))


def test_a_picture_in_the_clothes_of_a_film_is_called_one(tmp_path: Path) -> None:
    film = patched(encoded(tmp_path / "photo.mp4", "libx264", "yuv420p"), b"ftypisom", b"ftypheic")
    with pytest.raises(InputError, match=r"picture of a kind that is not read \(heic\)"):
        open_clip(film)


def test_a_film_whose_pixels_change_on_the_way_is_read_on(tmp_path: Path) -> None:
    films = [encoded(tmp_path / f"{pixels}.h264", "libx264", pixels) for pixels in ("yuv420p", "yuv444p")]
    (tmp_path / "film.h264").write_bytes(b"".join(film.read_bytes() for film in films))
    clip = open_clip(tmp_path / "film.h264")
    assert numbers_of(clip) == 2 * list(range(COUNT))


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv444p12le", "gray10le"])
def test_depth_is_kept_whatever_the_container_says(pixels: str, tmp_path: Path) -> None:
    clip = open_clip(encoded(tmp_path / "film.mkv", "ffv1", pixels, of=picture))
    (plate,) = clip.frames([3])
    assert plate.dtype == np.uint16
    assert np.abs(cv2.cvtColor(np.float32(to_display(plate)), cv2.COLOR_RGB2GRAY)).max() > 0.9
