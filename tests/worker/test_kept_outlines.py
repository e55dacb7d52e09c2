"""Masks that were being carried when a job ended are not carried again, and come out the same."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import differing, results, solve, stop

from nvd_core.faces.demo_clip import DemoClip
from nvd_core.pipeline import decompose
from nvd_core.roto import cache, propagate
from nvd_core.spec.choices.flow_sources import FlowFiles
from nvd_core.spec.errors import InputError
from nvd_core.spec.mask_record import Record
from nvd_core.spec.protocol import Progress
from nvd_core.spec.settings import Job, MaskSource, Settings


@pytest.fixture(scope="module")
def job(demo: DemoClip) -> Job:
    path = str(demo.masks["sign"] / "sign.0004.png")
    masks = (MaskSource.of(name="sign", path=path, frame=4),)
    return Job(clip=str(demo.frames), masks=masks, settings=Settings(preset="preview"))


@pytest.fixture(scope="module")
def undisturbed(job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    solve(job, folder)
    return results(folder)


def end_after(job: Job, folder: Path, outlines: int) -> list[Path]:
    """End a job after so many outlines; what it keeps of them is returned."""
    stop(
        partial(decompose, job, folder),
        lambda event: isinstance(event, Progress) and len(kept_in(folder)) == outlines,
    )
    return kept_in(folder)


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint/masks-*/sign.*.safetensors"))


def test_outlines_are_kept(
    job: Job, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, segment, found = tmp_path / "out", propagate._segment, []
    monkeypatch.setattr(cache, "_SAVE_EVERY_S", 0.0)
    assert len(end_after(job, folder, 5)) == 5
    monkeypatch.setattr(propagate, "_segment", lambda *arguments: found.append(arguments[1]) or segment(*arguments))
    solve(job, folder, resume=True)
    assert found == [6, 7], "2, 1 and 0, then 4 and 5 were known, counted from the clip's first frame"
    assert differing(results(folder), undisturbed) == []
    assert not (folder / "checkpoint").exists()


def write_flow(folder: Path, *, is_fit: bool) -> Path:
    """Flow for the demo's frames, which is found to be damaged once the last of it is read."""
    folder.mkdir(exist_ok=True)
    for number in range(1, 8):
        cv2.writeOpticalFlow(str(folder / f"f.{number:04d}.flo"), np.zeros((112, 200, 2), np.float32))
    if not is_fit:
        (folder / "f.0007.flo").write_bytes((folder / "f.0007.flo").read_bytes()[:-8])
    return folder


@pytest.mark.parametrize("replaces", [False, True])
def test_masks_that_were_made_are_kept_if_it_is_not_they_that_are_refused(
    replaces: bool, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, segment, found = tmp_path / "out", propagate._segment, []
    flow = write_flow(tmp_path / "flow", is_fit=False)
    given = replace(job, settings=replace(job.settings, flow=FlowFiles(str(flow))))
    if replaces:
        whole = MaskSource.of(name="sign", path=str(Path(str(job.masks[0].path)).parent))
        solve(replace(job, masks=(whole,)), folder)
        before = results(folder)
    monkeypatch.setattr(propagate, "_segment", lambda *arguments: found.append(arguments[1]) or segment(*arguments))
    with pytest.raises(InputError, match="flow file is damaged"):
        solve(given, folder, replaces=replaces)
    assert found
    assert Record.read(folder / ("checkpoint/masks" if replaces else "masks")).asked
    if replaces:
        assert {name: data for name, data in results(folder).items() if name in before} == before
    write_flow(flow, is_fit=True)
    found.clear()
    solve(given, folder, replaces=replaces)
    assert found == [], "they were there"
    solve(given, tmp_path / "anew")
    assert differing(results(folder), results(tmp_path / "anew")) == []


def test_outlines_that_are_damaged_are_found_again(
    job: Job, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    monkeypatch.setattr(cache, "_SAVE_EVERY_S", 0.0)
    for path in end_after(job, folder, 3):
        os.truncate(path, path.stat().st_size // 2)
    solve(job, folder, resume=True)
    assert differing(results(folder), undisturbed) == []
