"""What a job is refused for before it begins is told without beginning it, and nothing is written for that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import SIZE, command, disc, job_file, nvd, sliding, tree, write_masks

from nvd_core.image.exr import write_exr
from nvd_core.pipeline import check, decompose
from nvd_core.spec import protocol
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import NvdError, as_told
from nvd_core.spec.protocol import Caution, Done, Event, Failed, Hello
from nvd_core.spec.settings import Job, MaskSource, Settings, Shown

COUNT = 4


@pytest.fixture
def good(tmp_path: Path) -> Job:
    masks = write_masks(tmp_path / "masks", [disc((50, 50))] * COUNT)
    return Job(clip=str(sliding(tmp_path / "clip", COUNT)), masks=(MaskSource.of(name="sign", path=str(masks)),))


def masks(at: Path, count: int = COUNT, size: Size = SIZE, first: int = 1, **values: object) -> tuple[MaskSource, ...]:
    folder = write_masks(at / "others", [disc((20, 20), size=size)] * count, first)
    return (MaskSource.of(**{"name": "sign", "path": str(folder)} | values),)


def key(at: Path, value: int = 1, size: Size = SIZE, frame: int = 2) -> tuple[MaskSource, ...]:
    folder = write_masks(at / "keys", [disc((50, 50), size=size) * np.uint8(value)])
    return (MaskSource.of(name="sign", path=str(folder / "mask.0001.png"), frame=frame),)


def flow(at: Path, size: Size = SIZE, count: int = COUNT) -> Settings:
    for number in range(1, count + 1):
        zeros = np.zeros((size.height, size.width), np.float32)
        write_exr(at / f"flow/flow.{number:04d}.exr", {"R": zeros, "G": zeros})
    return Settings.of(flow=str(at / "flow"))


BAD: dict[str, Callable[[Job, Path], Job]] = {
    "no clip": lambda job, at: replace(job, clip=str(at / "nothing.mp4")),
    "a clip that is shown otherwise": lambda job, _: replace(job, shown=Shown(width=10, height=10)),
    "frames that are not there": lambda job, _: replace(job, settings=Settings.of(frames="90-95")),
    "a bad name": lambda job, _: replace(job, masks=(replace(job.masks[0], name="gr\u00fcn"),)),
    "a name twice": lambda job, _: replace(job, masks=job.masks * 2),
    "masks of another shape": lambda job, at: replace(job, masks=masks(at, size=Size(96, 96))),
    "masks of other frames": lambda job, at: replace(job, masks=masks(at, first=3)),
    "too few masks": lambda job, at: replace(job, masks=masks(at, COUNT - 1)),
    "no mask": lambda job, at: replace(job, masks=(MaskSource.of(name="sign", path=str(at / "nothing")),)),
    "no alpha": lambda job, _: replace(job, masks=(MaskSource.of(name="sign", path="alpha"),)),
    "a mask of a frame of another shape": lambda job, at: replace(job, masks=key(at, size=Size(96, 96))),
    "a mask of no frame": lambda job, at: replace(job, masks=key(at, frame=40)),
    "a black mask of a frame": lambda job, at: replace(job, masks=key(at, value=0)),
    "flow of another size": lambda job, at: replace(job, settings=flow(at, Size(80, 48))),
    "too little flow": lambda job, at: replace(job, settings=flow(at, count=1)),
    "too little memory": lambda job, _: replace(job, settings=Settings.of(memory="100M")),
    "another solver's setting": lambda job, _: replace(job, settings=Settings(steps=5)),
}


def ended(
    work: Callable[[Job, Path, Callable[[Event], object]], object], job: Job, folder: Path
) -> tuple[list[Event], NvdError | None]:
    events: list[Event] = []
    try:
        work(job, folder, events.append)
    except NvdError as error:
        return events, as_told(error)
    return events, None


@pytest.mark.parametrize("what", BAD)
def test_a_check_refuses_what_the_job_would_be_refused_for(what: str, good: Job, tmp_path: Path) -> None:
    job, out = BAD[what](good, tmp_path), tmp_path / "new/out"
    before = tree(tmp_path)
    checked, said = ended(check, job, out)
    assert said is not None
    assert tree(tmp_path) == before
    assert not out.parent.exists()
    begun, told = ended(decompose, job, out)
    assert told is not None
    assert (type(said), str(said), said.where) == (type(told), str(told), told.where)
    assert checked == begun
    assert all(isinstance(event, Caution) for event in begun), "the job had begun"


@pytest.mark.parametrize("taken", ["a file", "something else", "the clip"])
def test_a_check_refuses_a_place_that_is_taken(taken: str, good: Job, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/letter.txt").write_text("Dear")
    place = {"a file": "letters/letter.txt", "something else": "letters", "the clip": "clip"}[taken]
    before = tree(tmp_path)
    (_, said), (_, told) = (ended(work, good, tmp_path / place) for work in (check, decompose))
    assert str(said) == str(told) != "None"
    assert tree(tmp_path) == before


def test_a_check_of_what_is_right_writes_nothing(good: Job, tmp_path: Path) -> None:
    before = tree(tmp_path)
    assert ended(check, good, tmp_path / "new/out") == ([Done(folder=str(tmp_path / "new/out"))], None)
    assert tree(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_check_does_not_look_for_masks_that_are_yet_to_be_rendered(good: Job, tmp_path: Path) -> None:
    drawn = replace(good, masks=(MaskSource.of(name="sign", path=str(tmp_path / "later"), drawn=True),))
    assert ended(check, drawn, tmp_path / "out")[1] is None
    twice = replace(drawn, masks=drawn.masks * 2)
    assert "more than one layer" in str(ended(check, twice, tmp_path / "out")[1])


def test_a_worker_that_checks_answers_by_the_protocol(good: Job, tmp_path: Path) -> None:
    """Also without anybody who could tell it to stop."""

    def answer(job: Job) -> tuple[list[Event], int]:
        run = command("worker", job_file(tmp_path / "job.json", job), tmp_path / "out", "--check")
        done = subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return [protocol.decode(line) for line in done.stdout.splitlines()], done.returncode

    events, code = answer(good)
    assert [type(event) for event in events] == [Hello, Done]
    assert code == 0
    events, code = answer(BAD["masks of another shape"](good, tmp_path))
    assert code == 3
    assert [type(event) for event in events] == [Hello, Failed]
    assert events[1].code == "input"
    assert Path(events[1].where) == tmp_path / "others/mask.0001.png"
    assert events[1].hint
    assert not (tmp_path / "out").exists()


def test_the_command_line_checks_and_forecasts(good: Job, tmp_path: Path) -> None:
    arguments = [good.clip, "--mask", f"sign={good.masks[0].path}", "--check", "-o", tmp_path / "out"]
    done = nvd("decompose", *arguments)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert done.stdout.startswith("It may take about ")
    takes = json.loads(nvd("decompose", *arguments, "--json").stdout)
    assert takes["folder"] == str(tmp_path / "out")
    assert takes["memory_bytes"] > 0
    refused = nvd("decompose", *arguments, "--memory", "100M")
    assert refused.returncode == 5
    assert "of memory" in refused.stderr
    assert not (tmp_path / "out").exists()
