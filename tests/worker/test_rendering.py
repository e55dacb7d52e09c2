"""``nvd render --events``, as Blender runs it: it tells of every finished file, and stops where its input ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support import command, nvd

from nvd_core.spec.protocol import Artifact, Metric, Progress, decode


@pytest.mark.parametrize(("out", "count"), [("pictures", 8), ("film.mp4", 1)])
def test_every_finished_file_is_told(solved_folder: Path, tmp_path: Path, out: str, count: int) -> None:
    asked = command("render", solved_folder, "--clean-plate", "--events", "-o", tmp_path / out)
    with subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        events = [decode(line) for line in process.stdout]
    assert process.returncode == 0
    assert None not in events
    files = [Path(event.path) for event in events if isinstance(event, Artifact)]
    assert files == (sorted((tmp_path / out).iterdir()) if count > 1 else [tmp_path / out])
    assert len(files) == count
    assert [event.done for event in events if isinstance(event, Progress)][-1] == 1
    said = nvd("render", solved_folder, "--clean-plate", "--json", "-o", tmp_path / "again")
    share = json.loads(said.stdout)["invented_share"]
    assert [event.value for event in events if isinstance(event, Metric)] == [share]


@pytest.mark.parametrize("out", ["pictures", "film.mp4"])
def test_without_a_parent_it_stops_and_leaves_nothing_half_written(
    solved_folder: Path, tmp_path: Path, out: str
) -> None:
    done = nvd("render", solved_folder, "--events", "-o", tmp_path / out, stdin=subprocess.DEVNULL)
    assert done.returncode == 130
    told = [event.path for event in map(decode, done.stdout.splitlines()) if isinstance(event, Artifact)]
    assert sorted(map(str, tmp_path.rglob("*.*"))) == told
    assert len(told) < 8
