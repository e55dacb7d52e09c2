"""Video files: every frame, in order, from wherever one asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import SIZE, number_of, numbered, nvd, solve, write_video

from nvd_core.clip import open_clip
from nvd_core.image.colour import to_display
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.settings import Job, Settings, Shown

COUNT = 130
"""More than the reader decodes through rather than seeks."""


@pytest.fixture(scope="module", params=["mp4", "mov", "mkv"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / f"numbers.{request.param}"
    return write_video(path, (numbered(index) for index in range(1, COUNT + 1)))


def test_the_facts_of_a_video(film: Path) -> None:
    info = open_clip(film).info
    assert (info.size, info.fps, info.numbers, info.name) == (SIZE, 25, range(1, COUNT + 1), "numbers")
    assert info.file(7) == film


def test_every_frame_is_there_in_order(film: Path) -> None:
    clip = open_clip(film)
    assert [number_of(plate) for plate in clip.frames(clip.info.numbers)] == list(clip.info.numbers)


@given(numbers=st.lists(st.integers(1, COUNT), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_frames_may_be_asked_for(film: Path, numbers: list[int]) -> None:
    assert [number_of(plate) for plate in open_clip(film).frames(numbers)] == numbers


def test_colours_are_those_of_the_picture(film: Path) -> None:
    """Within what H.264 with halved chroma leaves of the ramp at the top."""
    (plate,) = open_clip(film).frames([5])
    wanted = numbered(5)
    assert plate.dtype == np.uint8
    assert np.abs(plate[:20].astype(int) - wanted[:20]).mean() < 6
    assert plate[2, 80].sum() < plate[-3, 80].sum(), "upside down"


def test_ten_bit_video_keeps_its_depth(tmp_path: Path) -> None:
    film = write_video(tmp_path / "deep.mp4", [numbered(index) for index in range(3)], pixels="yuv420p10le")
    (plate,) = open_clip(film).frames([2])
    assert plate.dtype == np.uint16
    assert number_of(plate) == 1
    assert np.abs(to_display(plate) - numbered(1) / 255).mean() < 0.03
    assert (np.unique(plate % 257) != 0).any(), "no more than 8 bits"


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_that_is_turned_by_its_metadata_comes_upright(degrees: int, tmp_path: Path) -> None:
    upright = [numbered(index) for index in range(1, 4)]
    lying = [np.rot90(picture, -degrees // 90) for picture in upright]
    size = Size(lying[0].shape[1], lying[0].shape[0])
    clip = open_clip(write_video(tmp_path / "phone.mp4", lying, size, turned=degrees))
    assert (clip.info.size, clip.info.turned % 360) == (SIZE, degrees % 360)
    assert [number_of(plate) for plate in clip.frames([3, 1])] == [3, 1]


def test_a_slanted_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="turned by 29 degrees"):
        open_clip(write_video(tmp_path / "slanted.mp4", [numbered(1)] * 2, turned=30))


@pytest.mark.parametrize(
    ("shown", "video", "words"),
    [
        (Shown(turns=False), {"turned": 180}, "turned by -180 degrees in its metadata"),
        (Shown(), {"is_even": False}, "last unequally long"),
        (Shown(frames=2), {}, "has 3 frames, but is shown with 2"),
        (Shown(width=96, height=160), {}, "is 160x96, but is shown as 96x160"),
        (Shown(colour="Rec.2020"), {}, "shown as Rec.2020, but are read as sRGB"),
    ],
)
def test_what_is_shown_otherwise_than_decoded_is_refused(
    shown: Shown, video: dict[str, Any], words: str, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "film.mp4", [numbered(index) for index in range(3)], **video)
    with pytest.raises(InputError, match=words):
        solve(Job(clip=str(film), shown=shown), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["ein Käfer #3.mp4", "撮影 %02d.mov"])
def test_paths_may_hold_any_letters(name: str, tmp_path: Path) -> None:
    film = write_video(tmp_path / name, [numbered(index) for index in range(3)])
    assert [number_of(plate) for plate in open_clip(film).frames([1, 2, 3])] == [0, 1, 2]


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="no video"):
        open_clip(tmp_path / "sound.mp4")


def test_a_range_of_a_video_is_decomposed_under_its_own_numbers(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", (numbered(index) for index in range(1, 80)))
    solve(Job(clip=str(film), settings=Settings.of(preset="preview", frames="70-72")), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert (decomposition.manifest.source.fps, decomposition.manifest.name) == (25, "film")
    assert [(frame.number, number_of(frame.plate)) for frame in decomposition.frames()] == [
        (n, n) for n in (70, 71, 72)
    ]


def test_a_clip_in_an_odd_place_goes_the_whole_way(tmp_path: Path) -> None:
    place = tmp_path / "Käfer & blüte 撮影"
    film = write_video(place / "der #1 film.mp4", [numbered(index) for index in range(2)])
    done = nvd("decompose", film, "--preset=preview", cwd=place)
    assert done.returncode == 0, done.stderr
    assert (place / "der_1_film_nvd" / "manifest.json").is_file()
    done = nvd("render", "der_1_film_nvd", "-o", "gerendert é.mp4", cwd=place)
    assert done.returncode == 0, done.stderr
    assert [number_of(plate) for plate in open_clip(place / "gerendert é.mp4").frames([1, 2])] == [0, 1]
