"""Films of every codec, container, size, range, matrix, turn and rate: every frame, in order, in its colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import COUNT, FILMS, Film, patches, picture, textbook, write_film
from stills import CODED, STILLS
from support import number_of, solve

from nvd_core.clip import open_clip
from nvd_core.image.colour import to_display
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import Job, Settings

NEAR, LOSSY = 2 / 255, 8 / 255


def test_the_matrix_is_large_and_has_no_two_alike() -> None:
    assert len({film.name for film in FILMS}) == len(FILMS) >= 60


@pytest.mark.parametrize("film", FILMS, ids=lambda film: film.name)
def test_every_frame_is_read_in_order_and_in_its_colours(film: Film, tmp_path: Path) -> None:
    clip = open_clip(write_film(tmp_path / f"film.{film.container}", film))
    info = clip.info
    assert (info.size, info.count, info.is_even) == (film.size, len(film.numbers), film.gaps == (2,))
    assert info.fps == pytest.approx(float(film.rate), rel=0.02 if info.is_even else 0.2)
    plates = list(clip.frames(info.numbers))
    assert [number_of(plate) for plate in plates] == film.numbers
    assert [number_of(plate) for plate in clip.frames(reversed(info.numbers))] == film.numbers[::-1], "by seeking"
    for number, plate, wanted in zip(film.numbers, plates, textbook(info.path), strict=True):
        np.testing.assert_allclose(patches(plate), patches(wanted), atol=NEAR)
        if film.pixels != "gray":
            np.testing.assert_allclose(patches(plate), patches(picture(number, film.size)), atol=LOSSY)


@pytest.mark.parametrize("name", STILLS)
def test_every_kind_of_picture_shows_the_same(name: str, tmp_path: Path) -> None:
    STILLS[name](tmp_path / name)
    clip = open_clip(tmp_path / name)
    (plate,) = clip.frames(clip.info.numbers)
    assert clip.info.is_linear == name.endswith(("exr", "float.tif"))
    np.testing.assert_allclose(patches(to_display(plate)), patches(CODED), atol=LOSSY if "jpg" in name else NEAR)
    if "8" in name and "jpg" not in name:
        assert np.array_equal(plate, CODED)


def test_kinds_are_told_by_what_files_hold(tmp_path: Path) -> None:
    for name, other in (("8.png", "a.jpg"), ("444.jpg", "b.png"), ("half.exr", "c.tif"), ("10a.dpx", "d.png")):
        STILLS[name](tmp_path / name)
        (tmp_path / name).rename(tmp_path / other)
        (plate,) = open_clip(tmp_path / other).frames([1])
        np.testing.assert_allclose(patches(to_display(plate)), patches(CODED), atol=LOSSY)


def caution_of(path: Path) -> str:
    (caution,) = open_clip(path).info.cautions
    return f"{caution.message}. {caution.hint}"


@pytest.mark.parametrize(("codec", "first"), [("libx264", "upper"), ("mpeg2video", "lower")])
def test_an_interlaced_film_is_told_of_with_its_order(codec: str, first: str, tmp_path: Path) -> None:
    told = caution_of(write_film(tmp_path / "film.mkv", Film(codec=codec, options={"flags": "+ildct+ilme"})))
    assert f"interlaced, {first} field first" in told
    assert "Deinterlace it first" in told


SECOND_VIEW = b"\x01\xf0\0\xfc\xcb\1" + b"\xa7\0\1" + b"\0\3\x4e\x09\x80"
"""The configuration of a second layer (ISO/IEC 14496-15, LHEVCDecoderConfigurationRecord): one unit, of layer 1."""


def with_second_view(path: Path) -> Path:
    """Say of an H.265 film what spatial films say: that there is a second layer, for the other eye."""
    data = bytearray(path.read_bytes())
    assert data.index(b"mdat") < data.index(b"moov"), "the frames would lie elsewhere"
    box = (8 + len(SECOND_VIEW)).to_bytes(4, "big") + b"lhvC" + SECOND_VIEW
    sizes = {name: data.index(name) - 4 for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1")}
    for at in sizes.values():  # of all that it lies in
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "big") + len(box)).to_bytes(4, "big")
    first = data.index(b"hvcC") - 4
    end = first + int.from_bytes(data[first : first + 4], "big")
    data[end:end] = box
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("is_spatial", [False, True])
def test_a_spatial_film_is_read_and_told_of(is_spatial: bool, tmp_path: Path) -> None:
    """Its frames are those of the first view, as a film without a second one has them."""
    path = write_film(tmp_path / "film.mov", Film(codec="libx265"))
    clip = open_clip(with_second_view(path) if is_spatial else path)
    assert [number_of(plate) for plate in clip.frames(clip.info.numbers)] == list(range(COUNT))
    told = [one.message for one in clip.info.cautions]
    assert told == ["The video is spatial: it has a view for each eye, of which the first is taken"] * is_spatial


def test_what_was_told_stays_in_the_result(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", Film(codec="libx264", aspect=Fraction(4, 3)))
    events = solve(Job(clip=str(film), settings=Settings.of(preset="preview", frames="1-2")), tmp_path / "out")
    assert sum(isinstance(event, Caution) and "not square" in event.message for event in events) == 1
    assert any("not square" in warning for warning in Decomposition.open(tmp_path / "out").manifest.warnings)


@pytest.mark.parametrize(
    ("film", "words"),
    [
        (Film(codec="libx264", aspect=Fraction(4, 3)), "not square (4:3)"),
        (Film(codec="libx264", second=True), "holds 2 videos; the first is taken"),
    ],
)
def test_what_is_taken_as_it_is_stored_is_told_of(film: Film, words: str, tmp_path: Path) -> None:
    assert words in caution_of(write_film(tmp_path / "film.mp4", film))


@pytest.mark.parametrize(
    ("film", "words"),
    [
        (Film(codec="libx265", pixels="yuv420p10le", matrix="bt2020", transfer=16), "HDR (PQ)"),
        (Film(codec="libx265", pixels="yuv420p10le", matrix="bt2020", transfer=18), "HDR (HLG)"),
        (Film(codec="libx264", flipped=True), "mirrored"),
        (Film(codec="libx264", turned=90, flipped=True), "mirrored"),
    ],
    ids=lambda what: getattr(what, "name", what),
)
def test_what_cannot_be_shown_right_is_refused(film: Film, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        open_clip(write_film(tmp_path / "film.mp4", film))
    assert words in str(refusal.value)
