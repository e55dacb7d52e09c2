"""Disks that are full or cannot be written to, at any moment: one sentence, nothing half-written, and it goes on."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support import SIZE, differing, disc, is_root, nvd, results, sliding, solve

from nvd_core.clip.pictures import write_png
from nvd_core.export.exporters import run_exporter
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.rendering import frame_writer, render
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Stage
from nvd_core.spec.settings import Job, MaskSource, Settings

pytestmark = pytest.mark.skipif(not is_root(), reason="only root may mount a file system")

COUNT = 6


class Disk:
    """A real file system of a few megabytes."""

    def __init__(self, place: Path) -> None:
        self.place, self.ballast = place, place / "ballast"

    def fill(self) -> None:
        """To the last byte."""
        with self.ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            file.writelines(bytes(4096) for _ in range(1 << 20))

    def empty(self) -> None:
        self.ballast.unlink()

    def forbid_writing(self) -> None:
        """By a second mount over the first, as what is open there would forbid it; that can go on being written."""
        subprocess.run(["mount", "--bind", self.place, self.place], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.place], check=True)

    def allow_writing(self) -> None:
        subprocess.run(["umount", self.place], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield Disk(place)
    while place.is_mount():
        subprocess.run(["umount", "--lazy", place], check=True)  # tracebacks hold files


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    place = tmp_path_factory.mktemp("job")
    write_png(place / "key.png", np.dstack([disc((60, 40), size=SIZE)] * 3))
    mask = MaskSource.of(name="disc", path=str(place / "key.png"), frame=3)
    return Job(clip=str(sliding(place / "clip", COUNT)), masks=(mask,), settings=Settings(preset="preview"))


@pytest.fixture(scope="module")
def undisturbed(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    solve(job, folder)
    return folder


def disturbed(job: Job, folder: Path, when: Stage, then: Callable[[], object]) -> None:
    decompose(job, folder, lambda event: then() if event == when else None)


def is_clean(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if ".part" in path.name or path.name == ".lock"]


STAGES = [
    Stage(name="masks"),
    Stage(name="prepare"),
    Stage(name="solve"),
    Stage(name="atlas", layer="background"),
    Stage(name="frames"),
    Stage(name="report"),
]


@pytest.mark.parametrize("when", STAGES, ids=lambda stage: stage.name)
def test_a_job_on_a_disk_that_fills_goes_on_once_there_is_room(
    when: Stage, disk: Disk, job: Job, undisturbed: Path
) -> None:
    folder = disk.place / "out"
    with pytest.raises(InputError, match="disk is full"):
        disturbed(job, folder, when, disk.fill)
    assert is_clean(folder)
    assert not (folder / "manifest.json").exists()
    disk.empty()
    solve(job, folder, resume=True)
    assert differing(results(folder), results(undisturbed)) == []


@pytest.mark.parametrize("when", [STAGES[0], STAGES[4]], ids=lambda stage: stage.name)
def test_a_job_on_a_disk_that_becomes_read_only_goes_on_once_it_can(
    when: Stage, disk: Disk, job: Job, undisturbed: Path
) -> None:
    folder = disk.place / "out"
    with pytest.raises((InputError, OSError), match="Read-only file system"):  # of either, as_told makes a sentence
        disturbed(job, folder, when, disk.forbid_writing)
    disk.allow_writing()
    solve(job, folder, resume=True)
    assert is_clean(folder)
    assert differing(results(folder), results(undisturbed)) == []


def test_a_disk_that_cannot_be_written_to_is_refused_before_the_clip_is_read(disk: Disk, job: Job) -> None:
    disk.forbid_writing()
    done = nvd("decompose", job.clip, "-o", disk.place / "new" / "out")
    assert done.returncode == 3
    assert "Read-only file system" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("out", ["new/pictures", "new.mp4"])
def test_rendering_to_a_disk_that_fills_leaves_no_half_of_a_file(out: str, disk: Disk, undisturbed: Path) -> None:
    made = Decomposition.open(undisturbed)
    with pytest.raises(InputError, match="disk is full"), frame_writer(made, disk.place / out, "exr") as write:
        fill_after_the_first((write(frame) for frame in render(made, {}, "rebuild")), disk)
    assert is_clean(disk.place)
    assert [path.name for path in disk.place.rglob("*")] == ["ballast"] + ["new", "pictures", "pan.0001.exr"] * (
        out == "new/pictures"
    )


def test_exporting_to_a_disk_that_fills_leaves_no_half_of_a_file(disk: Disk, undisturbed: Path) -> None:
    folder = Path(shutil.copytree(undisturbed, disk.place / "own"))
    with pytest.raises(InputError, match="disk is full"):
        fill_after_the_first(run_exporter(Decomposition.open(folder), "stmap"), disk)
    assert is_clean(folder)
    disk.empty()
    assert len(list(run_exporter(Decomposition.open(folder), "stmap"))) == 2 * COUNT
    assert differing(results(folder), results(undisturbed)) == [
        f"stmap/{layer}/pan.{layer}.{number:04d}.exr" for layer in ("background", "disc") for number in range(1, 7)
    ]


def fill_after_the_first(paths: Iterator[Path], disk: Disk) -> None:
    next(paths)
    disk.fill()
    list(paths)


def test_a_clip_on_a_disk_that_cannot_be_written_to_is_fine(disk: Disk, tmp_path: Path) -> None:
    clip = sliding(disk.place / "clip", 2)
    disk.forbid_writing()
    solve(Job(clip=str(clip), settings=Settings(preset="preview")), tmp_path / "out")
    assert (tmp_path / "out/manifest.json").is_file()
    assert [path.name for path in disk.place.iterdir()] == ["clip"]
