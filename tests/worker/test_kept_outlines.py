"""Masks that were being carried when a job ended are not carried again, and come out the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import differing, results, solve

from nvd_core.demo_clip import DemoClip
from nvd_core.masks import carry, kept
from nvd_core.pipeline import decompose
from nvd_core.protocol import Progress
from nvd_core.settings import Job, MaskSource, Settings


@pytest.fixture(scope="module")
def job(demo: DemoClip) -> Job:
    path = str(demo.masks["sign"] / "sign.0004.png")
    masks = (MaskSource(name="sign", path=path, frame=4),)
    return Job(clip=str(demo.frames), masks=masks, settings=Settings(preset="preview"))


@pytest.fixture(scope="module")
def undisturbed(job: Job, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    solve(job, folder)
    return results(folder)


def end_after(job: Job, folder: Path, outlines: int) -> list[Path]:
    """End a job after so many outlines; what it keeps of them is returned."""
    events = decompose(job, folder)
    for event in events:
        if isinstance(event, Progress) and len(kept_in(folder)) == outlines:
            events.close()
    return kept_in(folder)


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint/masks-*/sign.*.safetensors"))


def test_outlines_are_kept(
    job: Job, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, segment, found = tmp_path / "out", carry._segment, []
    monkeypatch.setattr(kept, "_SAVE_EVERY_S", 0.0)
    assert len(end_after(job, folder, 5)) == 5
    monkeypatch.setattr(carry, "_segment", lambda *arguments: found.append(arguments[1]) or segment(*arguments))
    solve(job, folder, resume=True)
    assert found == [6, 7], "2, 1 and 0, then 4 and 5 were known, counted from the clip's first frame"
    assert differing(results(folder), undisturbed) == []
    assert not (folder / "checkpoint").exists()


def test_outlines_that_are_damaged_are_found_again(
    job: Job, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    monkeypatch.setattr(kept, "_SAVE_EVERY_S", 0.0)
    for path in end_after(job, folder, 3):
        os.truncate(path, path.stat().st_size // 2)
    solve(job, folder, resume=True)
    assert differing(results(folder), undisturbed) == []
