"""Of several writers that begin in one folder at the same instant one wins, and nothing is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from support import command, differing, flags_of, job_of, results, stop, wait_until

from nvd_core import pipeline
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.choices.solvers import Lattice
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LOCK

ROUNDS = int(os.environ.get("NVD_RACES", "2"))


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_jobs_one_wins(_round: int, demo: DemoClip, solved_folder: Path, tmp_path: Path) -> None:
    run = command("decompose", *flags_of(demo), "-o", tmp_path / "new" / "out")
    both = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1].strip() for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 3], said
    refused = said[codes.index(3)]
    assert "Another job is writing to the folder" in refused
    assert len(refused.splitlines()) == 1
    assert differing(results(tmp_path / "new" / "out"), results(solved_folder)) == []


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """The lock's file is taken away each time, and each must be sure to hold the one that is there."""
    held: list[int] = []

    def write(number: int) -> int:
        try:
            with sole_writer(tmp_path):
                held.append(number)
                os.sched_yield()
                alone = held == [number]
                held.remove(number)
                assert alone
        except InputError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(2000))) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_job_has_ended_when_its_folder_is_free(
    demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def solve(shot: object, settings: object, checkpoints: object, progress: Progress) -> None:
        def work(_: int) -> None:
            time.sleep(0.2)
            held.append((tmp_path / LOCK).exists())

        map_all(work, range(9), progress)

    monkeypatch.setattr(Lattice, "open", lambda _: solve)
    stop(partial(pipeline.decompose, job_of(demo, frames="1-2"), tmp_path), lambda _: held)
    assert len(held) > 1, "others were at work"
    assert all(held)
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("left", [[".lock"], [".lock", "masks/.masks.json.12345.part.json"]], ids=len)
def test_what_a_writer_left_that_was_killed_at_its_start_is_no_hindrance(
    left: list[str], demo: DemoClip, solved_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    for name in left:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    mask = next(iter(demo.masks.values())) / "sign.0001.png"
    run = command("decompose", demo.frames, f"--mask=sign@1={mask}", "--frames=1-2", "--preset=preview", "-o", folder)
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [path for path in folder.rglob("*") if ".part" in path.name or path.name == ".lock"]


def test_a_writer_that_was_killed_holds_nothing(demo: DemoClip, tmp_path: Path) -> None:
    run = command("decompose", *flags_of(demo), "-o", tmp_path / "out")
    with subprocess.Popen(run, stderr=subprocess.DEVNULL) as process:
        wait_until((tmp_path / "out" / ".lock").is_file, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with sole_writer(tmp_path / "out"):
        pass
    assert not (tmp_path / "out" / ".lock").exists()
