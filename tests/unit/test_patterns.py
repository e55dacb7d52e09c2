"""Patterns that stand for numbered files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nvd_core.spec.patterns import file_of, files_at, has_number, numbered, shape_of


@pytest.mark.parametrize("pattern", ["shot.####.exr", "shot.%04d.exr", "shot.%d.exr", "shot.#.exr"])
def test_a_pattern_stands_for_what_is_numbered_alone(pattern: str, tmp_path: Path) -> None:
    for name in ("shot.0007.exr", "shot.12.exr", "shot.backup.exr", "shot.0007.exr.bak", "other.0007.exr"):
        (tmp_path / name).touch()
    (tmp_path / "shot.9.exr").mkdir()
    assert [number for number, _ in numbered(tmp_path / pattern)] == [7, 12, 9]
    assert [path.name for path in files_at(tmp_path / pattern)] == ["shot.0007.exr", "shot.12.exr"]
    assert shape_of(pattern).fullmatch("shot.0007.exr")


def test_other_paths_stand_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert [*files_at(tmp_path)] == [*files_at(tmp_path / "a.png")] == [tmp_path / "a.png"]
    assert not [*files_at(tmp_path / "b.png")]
    assert not [*files_at(tmp_path / ("x" * 5000))]
    assert not has_number("shot.0001.png")


@pytest.mark.parametrize(
    ("pattern", "file"),
    [("shot.####.exr", "shot.0007.exr"), ("shot#1.#.exr", "shot#1.7.exr"), ("shot.0001.exr", "shot.0001.exr")],
)
def test_the_last_marks_of_a_pattern_are_the_number(pattern: str, file: str) -> None:
    assert file_of(Path("clip##", pattern), 7) == Path("clip##", file)
