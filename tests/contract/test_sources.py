"""Clips and masks that vanish or change while they are in use: one sentence, and never a result of two clips."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from support import differing, disc, numbered, results, sliding, solve, texture, write_masks, write_video

from nvd_core.clip.pictures import write_png
from nvd_core.pipeline import decompose
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution, Event, Stage
from nvd_core.spec.settings import Job, MaskSource, Settings

COUNT = 4
PREVIEW = Settings(preset="preview")


def gone(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def of_another_size(file: Path) -> None:
    file.unlink()
    write_png(file, texture(Size(80, 48)))


def of_other_content(file: Path) -> None:
    """Whole, and of the same size in pixels and very nearly in bytes."""
    write_png(file.with_name("other.tmp"), np.uint8(255) - texture(Size(160, 96), seed=9))
    file.with_name("other.tmp").replace(file)


def pictures(at: Path) -> Job:
    masks = write_masks(at / "masks", [disc((40 + 2 * index, 40)) for index in range(COUNT)])
    return Job(
        clip=str(sliding(at / "clip", COUNT)), masks=(MaskSource.of(name="disc", path=str(masks)),), settings=PREVIEW
    )


def disturbed(job: Job, folder: Path, when: Stage | int, then: Callable[[], object]) -> None:
    """Do something when a stage begins, or after so many events."""
    numbers = count(1)

    def hear(event: Event) -> None:
        if when in (event, next(numbers)):
            then()

    decompose(job, folder, hear)


def refusal(job: Job, folder: Path, when: Stage | int, then: Callable[[], object]) -> InputError:
    """What the job says to what is done then."""
    with pytest.raises(InputError) as refused:
        disturbed(job, folder, when, then)
    assert not (folder / "manifest.json").exists()
    assert not [path for path in folder.rglob("*") if ".part" in path.name or path.name == ".lock"]
    return refused.value


@pytest.mark.parametrize("change", [gone, cut, of_another_size, of_other_content])
@pytest.mark.parametrize("which", ["clip/pan.0003.png", "masks/mask.0003.png"])
def test_a_picture_that_changes_ends_the_job(change: Callable[[Path], None], which: str, tmp_path: Path) -> None:
    file = tmp_path / which
    said = refusal(pictures(tmp_path), tmp_path / "out", Stage(name="frames"), lambda: change(file))
    assert said.where == str(file)


@pytest.mark.parametrize("when", ["atlas", "frames", "measure"])
def test_a_clip_that_was_changed_and_is_put_back_goes_on_and_another_begins_anew(when: str, tmp_path: Path) -> None:
    job, folder, file = pictures(tmp_path), tmp_path / "out", tmp_path / "clip/pan.0003.png"
    former = file.read_bytes()
    stage = Stage(name=when, layer="disc" if when == "atlas" else "")
    assert "was changed" in str(refusal(job, folder, stage, lambda: of_other_content(file)))
    shutil.copytree(folder, tmp_path / "other")
    file.write_bytes(former)
    assert not told(solve(job, folder, resume=True)), "what was finished could not be taken up"
    solve(job, tmp_path / "undisturbed")
    assert differing(results(folder), results(tmp_path / "undisturbed")) == []
    of_other_content(file)
    (why,) = told(solve(job, tmp_path / "other", resume=True))
    assert why.startswith("The clip is not as it was when the job was cut off")
    solve(job, tmp_path / "undisturbed", replaces=True)
    assert differing(results(tmp_path / "other"), results(tmp_path / "undisturbed")) == []


def told(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Caution)]


@pytest.mark.parametrize("change", ["gone", "cut", "written over"])
def test_a_video_that_changes_ends_the_job(change: str, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", (texture(Size(160, 96), seed=1) for _ in range(COUNT)))
    other = write_video(tmp_path / "other.mp4", (numbered(index) for index in range(COUNT)))

    def then() -> None:
        if change == "gone":
            gone(film)
        elif change == "cut":
            cut(film)
        else:
            film.write_bytes(other.read_bytes())

    job = Job(clip=str(film), settings=Settings.of(preset="preview", find="nothing"))
    assert refusal(job, tmp_path / "out", Stage(name="frames"), then).where == str(film)


@pytest.mark.parametrize("which", ["clip/pan.0003.png", "key.png"])
def test_masks_are_not_carried_over_two_clips(which: str, tmp_path: Path) -> None:
    clip = sliding(tmp_path / "clip", COUNT)
    write_png(tmp_path / "key.png", np.dstack([disc((60, 40))] * 3))
    job = Job(
        clip=str(clip), masks=(MaskSource.of(name="disc", path=str(tmp_path / "key.png"), frame=2),), settings=PREVIEW
    )
    # After so many events the frames are read, and nothing is carried yet.
    said = refusal(job, tmp_path / "out", COUNT, lambda: of_other_content(tmp_path / which))
    assert "was changed" in str(said)
    assert not (tmp_path / "out").exists()


def test_a_clip_on_a_read_only_disk_is_fine(tmp_path: Path) -> None:
    job = pictures(tmp_path)
    for path in (tmp_path / "clip").iterdir():
        path.chmod(0o400)
    (tmp_path / "clip").chmod(0o500)
    try:
        solve(job, tmp_path / "out")
    finally:
        (tmp_path / "clip").chmod(0o700)
    assert (tmp_path / "out/manifest.json").is_file()
