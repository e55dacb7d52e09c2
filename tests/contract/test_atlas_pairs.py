"""Whatever an artist saves, and whenever, stays: what is replaced is judged by its content at that very moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nvd_core.spec import safe_replace
from nvd_core.spec.atlas_pairs import Pair, painted_atlases, put_atlas
from nvd_core.spec.folder import sha256
from nvd_core.spec.safe_replace import place, put_back, take_away


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    (tmp_path / "atlas").mkdir()
    put(tmp_path, "old")
    return tmp_path / "atlas"


def put(folder: Path, content: str) -> Pair:
    fresh = folder / "fresh.exr"
    fresh.write_text(content)
    return put_atlas(folder, "dog", fresh)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_one_that_is_not_painted_gives_way(atlas: Path) -> None:
    assert put(atlas.parent, "new").painted == atlas / "dog.exr"
    assert texts(atlas) == {"dog.exr": "new", "dog.orig.exr": "new"}


def test_a_painted_one_stays_with_its_twin(atlas: Path) -> None:
    (atlas / "dog.exr").write_text("paint")
    assert put(atlas.parent, "new").painted == atlas / "dog.2.exr"
    assert put(atlas.parent, "newer").painted == atlas / "dog.2.exr"
    assert texts(atlas) == {
        "dog.exr": "paint", "dog.orig.exr": "old", "dog.2.exr": "newer", "dog.2.orig.exr": "newer",
    }  # fmt: skip
    assert list(painted_atlases(atlas.parent)) == [atlas / "dog.exr"]


def test_paint_on_the_same_atlas_is_used_wherever_it_lies(atlas: Path) -> None:
    (atlas / "dog.exr").write_text("paint on old")
    put(atlas.parent, "new")
    (atlas / "dog.2.exr").write_text("paint on new")
    (atlas / "dog.exr").unlink()
    assert put(atlas.parent, "new").painted == atlas / "dog.2.exr"
    assert (atlas / "dog.2.exr").read_text() == "paint on new"


@pytest.mark.parametrize("when", ["rename", "digest", "link"])
def test_a_save_that_comes_in_between_wins(when: str, atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves = []

    def saving(function: Callable) -> Callable:
        def wrapped(*arguments: object) -> object:
            if not saves and any(Path(str(one)).name in {"dog.exr", ".dog.exr.aside"} for one in arguments):
                saves.append((atlas / "dog.exr").write_text("paint"))
            return function(*arguments)

        return wrapped

    owner, name = {"rename": (Path, "rename"), "digest": (safe_replace, "sha256"), "link": (safe_replace.os, "link")}[
        when
    ]
    monkeypatch.setattr(owner, name, saving(getattr(owner, name)))
    pair = put(atlas.parent, "new")
    assert saves
    assert (atlas / "dog.exr").read_text() == "paint"
    assert pair.painted == atlas / "dog.2.exr"
    assert texts(atlas)["dog.2.exr"] == texts(atlas)["dog.2.orig.exr"] == "new"
    assert (atlas / "dog.exr") in painted_atlases(atlas.parent)


def test_a_layer_whose_name_begins_alike_is_another(atlas: Path) -> None:
    for name in ("dog2.exr", "dog2.orig.exr", "dog-a.exr", "dogs.2.exr"):
        (atlas / name).write_text("other")
    put(atlas.parent, "new")
    assert {name for name, text in texts(atlas).items() if text == "other"} == {
        "dog2.exr", "dog2.orig.exr", "dog-a.exr", "dogs.2.exr",
    }  # fmt: skip


def test_what_was_moved_aside_comes_back_unless_it_was_saved_anew(tmp_path: Path) -> None:
    (tmp_path / ".a.exr.aside").write_text("aside")
    put_back(tmp_path / ".a.exr.aside")
    assert texts(tmp_path) == {"a.exr": "aside"}
    (tmp_path / ".a.exr.aside").write_text("older")
    put_back(tmp_path / ".a.exr.aside")
    put_back(tmp_path / "a.exr")
    assert texts(tmp_path) == {"a.exr": "aside"}


def test_a_disk_without_second_names_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(safe_replace.os, "link", refuse)
    for name in ("new", "newer"):
        (tmp_path / name).write_text(name)
    assert place(tmp_path / "new", tmp_path / "there")
    assert not place(tmp_path / "newer", tmp_path / "there")
    assert texts(tmp_path) == {"there": "new", "newer": "newer"}
    assert not take_away(tmp_path / "there", {"0"})
    assert take_away(tmp_path / "there", {sha256(tmp_path / "there")})
    assert take_away(tmp_path / "there", set())
