"""Results that hold NaN or Inf, and pictures that cannot be an atlas, in real Blenders."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR
import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures

from nvd_core.clip.pictures import write_png
from nvd_core.image.exr import read_stored
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import InputError

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

IN_FRAMES = {"uv": "sign.uv.X", "alpha": "sign.alpha.V", "residual": "sign.residual.G"}
IN_ATLASES = {"original": "sign.orig.exr", "painted": "sign.exr"}
VALUES = {"NaN": np.nan, "Inf": np.inf}
DAMAGES = [f"{where} {value}" for where in (*IN_FRAMES, *IN_ATLASES) for value in VALUES]


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path
    atlases: Path


def _damage(path: Path, channel: str, value: float) -> None:
    """Fill the middle of a channel."""
    _, channels = read_stored(path)
    picture = channels[channel] = channels[channel].copy()
    rows, columns = picture.shape
    picture[rows // 4 : rows * 3 // 4, columns // 4 : columns * 3 // 4] = value
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(path))


def _write(path: Path, colour: np.ndarray, whole: tuple[int, int]) -> None:
    """Write an EXR whose display window is of this width and height."""
    windows = {"displayWindow": whole, "dataWindow": colour.shape[1::-1]}
    header = {
        name: (np.zeros(2, np.int32), np.array([width - 1, height - 1], np.int32))
        for name, (width, height) in windows.items()
    }
    channels = {name: np.ascontiguousarray(colour[..., index]) for index, name in enumerate("RGB")}
    OpenEXR.File(header | {"type": OpenEXR.scanlineimage}, channels).write(str(path))


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(
    request: pytest.FixtureRequest, extension: Path, solved: Decomposition, tmp_path_factory: pytest.TempPathFactory
) -> Session:
    out, damaged, atlases = (tmp_path_factory.mktemp("damaged") / name for name in ("out", "folders", "atlases"))
    for place in (out, atlases):
        place.mkdir()
    for name in ("whole", *DAMAGES):
        folder = Path(shutil.copytree(solved.folder, damaged / name))
        where, _, value = name.partition(" ")
        if where in IN_FRAMES:
            frame = solved.manifest.frame_path(folder, solved.manifest.source.first)
            _damage(frame, IN_FRAMES[where], VALUES[value])
        if where in IN_ATLASES:
            _damage(folder / "atlas" / IN_ATLASES[where], "G", VALUES[value])
    original = solved.original("sign")
    rows, columns = original.shape[:2]
    write_png(atlases / "small.png", np.full((rows // 2, columns // 2, 3), 90, np.uint8))
    write_png(atlases / "logo.png", np.full((20, 200, 3), 90, np.uint8))
    _write(atlases / "cropped.exr", original[: rows // 2], (columns, rows))
    _write(atlases / "narrow.exr", original[:, : columns // 2], (columns // 2, rows))
    _write(atlases / "odd.exr", np.full_like(original, np.nan), (columns, rows))
    places = extension, sys.executable, damaged, atlases, out
    return Session(seen_in(out, request.param, "damaged_session.py", *places), out, atlases)


@pytest.mark.parametrize("damage", DAMAGES)
def test_pixels_without_paint_are_the_plates_whatever_the_files_hold(
    session: Session, solved: Decomposition, damage: str
) -> None:
    (plate,) = solved.clip.frames([solved.manifest.source.first])
    assert difference(pictures(session.out / damage), [np.asarray(plate).astype(int)]) == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_paint_is_shown_where_the_files_are_whole_and_nowhere_else(session: Session, damage: str) -> None:
    plate, whole, shown = (pictures(session.out / name)[0] for name in ("whole", "whole painted", f"{damage} painted"))
    changed, like = (np.abs(one - plate).max(axis=-1) > 1 for one in (whole, shown))
    assert not (like & ~changed).any()
    assert like.sum() > changed.sum() / 8


def test_an_atlas_that_holds_what_is_no_number_is_refused_when_its_result_is_loaded(session: Session) -> None:
    for name, (said, scenes) in session.seen["load"].items():
        where, _, _ = name.partition(" ")
        if where in IN_ATLASES:
            assert "The picture's channel G holds values that are not numbers" in said, name
            assert f"{name}/atlas/{IN_ATLASES[where]}" in said
            assert scenes == 0
        else:
            assert (said, scenes) == ("", 1), name


@pytest.mark.parametrize("damage", [*DAMAGES, "whole"])
def test_a_frame_that_holds_what_is_no_number_is_named_in_the_panel_of_its_result(
    session: Session, solved: Decomposition, damage: str
) -> None:
    where, _, _ = damage.partition(" ")
    said = " ".join(session.seen["frames"][damage].split())
    wrong = (
        f"The channel {IN_FRAMES.get(where)} of frame {solved.manifest.source.first} holds values that are not numbers"
    )
    assert (wrong in said) == (where in IN_FRAMES)
    assert ("Copy the folder again, or decompose the clip again." in said) == (where in IN_FRAMES)


def test_what_reads_a_folder_whose_files_are_others_now_is_ended(session: Session) -> None:
    assert session.seen["forgotten"] == [True, ""]


def _words(name: str, solved: Decomposition) -> str:
    """What is said of a picture as an atlas, the same as ``nvd render`` does."""
    rows, columns = solved.original("sign").shape[:2]
    return {
        "cropped.exr": "The data window of the atlas of sign is not its display window",
        "narrow.exr": f"The atlas is {columns // 2}x{rows}, that of sign is {columns}x{rows}",
        "logo.png": f"The atlas is 200x20, that of sign is {columns}x{rows}",
        "odd.exr": "The picture's channel R holds values that are not numbers",
    }[name]


@pytest.mark.parametrize("name", ["cropped.exr", "narrow.exr", "logo.png", "odd.exr"])
def test_a_picture_that_cannot_be_the_atlas_is_refused_as_nvd_render_does(
    session: Session, solved: Decomposition, name: str
) -> None:
    words = _words(name, solved)
    with pytest.raises(InputError, match=re.escape(words)):
        solved.painted("sign", session.atlases / name)
    said, stays = session.seen["exchange"][name]
    assert words in said
    assert stays


@pytest.mark.parametrize("name", ["cropped.exr", "narrow.exr", "odd.exr"])
def test_such_a_picture_that_another_program_saves_is_told_and_not_shown(
    session: Session, solved: Decomposition, name: str
) -> None:
    for how in ("watched", "reload"):
        said, stays = session.seen[how][name]
        assert _words(name, solved) in " ".join(said.split())
        assert stays, how


def test_paint_goes_beside_such_a_file_until_it_is_saved_over_it(session: Session) -> None:
    said, is_untouched = session.seen["kept"]
    assert said.startswith("Your paint on sign.exr was saved as sign.paint.exr")
    assert is_untouched
    panel, value = session.seen["mended"]
    assert "data window" not in panel
    assert "Another program" not in panel
    assert value == 0.5


def test_a_smaller_picture_of_the_same_shape_can_be_the_atlas(session: Session) -> None:
    assert session.seen["exchange"]["small.png"][0] == ""
