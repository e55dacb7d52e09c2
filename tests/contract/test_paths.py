"""Paths of every shape, as clip, mask and output: the whole way, or one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support import disc, sliding, write_masks

from nvd_core.faces.cli import run
from nvd_core.result.decomposition import Decomposition

COUNT = 2
NO_TEXT = os.fsdecode(b"\xff\xfe")
TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    "place",
    ["Kä fer\n撮影 🎬", '"it\'s" $x `y` [b]{c}*?~:smile:', "C:\\shots", NO_TEXT, "/".join(["deep" * 12] * 8)],
    ids=["letters", "signs", "drive", "no text", "long"],
)
def test_a_path_goes_the_whole_way(place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / place
    try:
        folder.mkdir(parents=True)
    except (OSError, ValueError):
        pytest.skip("the system has no such paths")
    clip = sliding(folder / "clip", COUNT)
    masks = write_masks(folder / "masks", [disc((40, 40))] * COUNT)
    out = folder / "out"
    assert run(["decompose", str(clip), f"--mask=disc={masks}", "-o", str(out), "--preset=preview", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["folder"] == str(out)
    assert Path(Decomposition.open(out).manifest.source.path) == clip
    assert run(["render", str(out), "-o", str(folder / "rendered")]) == 0
    assert len(list((folder / "rendered").iterdir())) == COUNT


def test_what_is_said_names_a_path_as_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = sliding(tmp_path / "[b] :smile:", 1)
    assert run(["decompose", str(clip), "-o", str(tmp_path / "[red]"), "--preset=preview"]) == 0
    assert str(tmp_path / "[red]") in capfd.readouterr().err


@pytest.mark.parametrize("letters", ["n" * 240, "撮" * 80, "𠮷" * 60], ids=["1 byte", "3 bytes", "4 bytes"])
def test_names_of_results_are_no_longer_than_systems_bear(letters: str, tmp_path: Path) -> None:
    clip = sliding(tmp_path / "clip", 1)
    next(clip.iterdir()).rename(clip / f"{letters}.0001.png")
    assert run(["decompose", str(clip), "-o", str(tmp_path / "out"), "--preset=preview"]) == 0


@pytest.mark.parametrize("name", [TOO_LONG, f"{TOO_LONG}.png", f"{TOO_LONG}.####.exr", f"{TOO_LONG}.mp4", "y/" * 3000])
@pytest.mark.parametrize("role", ["clip", "mask", "out"])
def test_a_path_that_is_too_long_is_refused(
    name: str, role: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = sliding(tmp_path / "good", COUNT)
    paths = {"clip": str(good), "mask": str(good), "out": str(tmp_path / "out")} | {role: str(tmp_path / name)}
    arguments = [paths["clip"], f"--mask=disc={paths['mask']}", "-o", paths["out"]]
    assert run(["decompose", *arguments, "--preset=preview"]) == 3
    sentence = capfd.readouterr().err.strip()
    assert sentence.startswith("nvd: ")
    assert "too long" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize("clip", ["C:\\shots\\shot.####.exr", "\\\\server\\shots\\shot.mp4", "D:/shot.mov"])
def test_a_path_of_another_system_is_refused(clip: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["decompose", clip, "-o", str(tmp_path / "out")]) == 3
    assert clip in capfd.readouterr().err
