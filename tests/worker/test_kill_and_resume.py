"""A job that is killed goes on where it was and ends in the same bytes; what an artist painted stays."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import command, differing, flags_of, job_of, nvd, results, solve, stop, wait_until

from nvd_core.faces.demo_clip import DemoClip, write_clip
from nvd_core.image.exr import rgba_channels, write_exr
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.protocol import Caution, Stage
from nvd_core.spec.settings import Job


@pytest.fixture(scope="module")
def long_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoClip:
    """Enough frames for a kill to find the export at work."""
    return write_clip(tmp_path_factory.mktemp("long"), frames=14, size=Size(200, 112))


@pytest.fixture(scope="module")
def undisturbed(long_demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    solve(job_of(long_demo), folder)
    return results(folder)


def cancel_after_the_first_map(job: Job, folder: Path) -> None:
    """Leave a folder with the first layer's map in its checkpoint."""
    stop(partial(decompose, job, folder), lambda event: event == Stage(name="map", layer="background"))
    assert [path.name for path in (folder / "checkpoint").glob("*.safetensors")] == ["sign.map.safetensors"]


@pytest.mark.parametrize(
    "sign_of_life",
    ["sign.map.safetensors", "result/atlas/sign.orig.exr", "result/frames/demo.0002.exr", "result/manifest.json"],
)
def test_a_killed_job_resumes_to_the_same_bytes(
    sign_of_life: str, long_demo: DemoClip, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    run = command("decompose", *flags_of(long_demo), "-o", tmp_path / "out")
    with subprocess.Popen(run, stderr=subprocess.DEVNULL) as process:
        wait_until((tmp_path / "out/checkpoint" / sign_of_life).is_file, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    frames = (tmp_path / "out").rglob("demo.????.exr")
    finished = {path.name: path.stat().st_mtime_ns for path in frames if path.parent.name == "frames"}
    assert finished or "frames" not in sign_of_life
    # A kill may hit in the middle of a file: what is half-written must not stay, either.
    (tmp_path / "out" / "frames").mkdir(exist_ok=True)
    (tmp_path / "out" / "frames" / ".demo.0005.12345.part.exr").write_bytes(b"half")
    solve(job_of(long_demo), tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), undisturbed) == []
    now = {name: (tmp_path / "out/frames" / name).stat().st_mtime_ns for name in finished}
    assert finished == now, "what was finished was written again"


def test_without_resume_a_job_begins_anew(demo: DemoClip, solved_folder: Path, tmp_path: Path) -> None:
    cancel_after_the_first_map(job_of(demo), tmp_path / "out")
    (tmp_path / "out/checkpoint/sign.map.safetensors").write_bytes(b"would fail if it were read")
    solve(job_of(demo), tmp_path / "out")
    assert differing(results(tmp_path / "out"), results(solved_folder)) == []


def test_a_checkpoint_of_another_job_is_not_used(demo: DemoClip, solved_folder: Path, tmp_path: Path) -> None:
    cancel_after_the_first_map(job_of(demo, residual="fidelity"), tmp_path / "out")
    (tmp_path / "out/checkpoint/sign.map.safetensors").write_bytes(b"would fail if it were read")
    solve(job_of(demo), tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), results(solved_folder)) == []


def test_a_truncated_checkpoint_is_not_used(demo: DemoClip, solved_folder: Path, tmp_path: Path) -> None:
    cancel_after_the_first_map(job_of(demo), tmp_path / "out")
    part = tmp_path / "out/checkpoint/sign.map.safetensors"
    os.truncate(part, part.stat().st_size // 2)
    solve(job_of(demo), tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), results(solved_folder)) == []


def test_the_same_input_gives_the_same_bytes_on_any_number_of_cores(
    demo: DemoClip, solved_folder: Path, tmp_path: Path
) -> None:
    one_core = {min(os.sched_getaffinity(0))}
    done = nvd(
        "decompose", *flags_of(demo), "-o", tmp_path / "out", preexec_fn=lambda: os.sched_setaffinity(0, one_core)
    )
    assert done.returncode == 0, done.stderr
    assert differing(results(tmp_path / "out"), results(solved_folder)) == []


def paint(folder: Path, layer: str) -> bytes:
    """Paint on an atlas as an artist does: the file is saved over; its new content is returned."""
    decomposition = Decomposition.open(folder)
    picture = np.dstack([decomposition.original(layer), decomposition.covered(layer)]).astype(np.float16)
    picture[4:20, 4:20, :3] = (1, 0, 0)
    path = folder / decomposition.manifest.atlas_files[layer]
    write_exr(path, rgba_channels(picture))
    return path.read_bytes()


def test_a_painted_atlas_stays_in_use_when_the_new_one_is_the_same(demo: DemoClip, own_folder: Path) -> None:
    before, painted = results(own_folder), paint(own_folder, "sign")
    events = solve(job_of(demo), own_folder, replaces=True)
    assert not [event for event in events if isinstance(event, Caution) and "painted" in event.message]
    assert differing(results(own_folder), before) == ["atlas/sign.exr"]
    assert (own_folder / "atlas/sign.exr").read_bytes() == painted


def test_a_painted_atlas_is_kept_beside_another_new_one_and_that_is_said(
    demo: DemoClip, own_folder: Path, tmp_path: Path
) -> None:
    original, painted = (own_folder / "atlas/sign.orig.exr").read_bytes(), paint(own_folder, "sign")
    shorter = job_of(demo, frames="2-6")
    events = solve(shorter, own_folder, replaces=True)
    said = [event.message for event in events if isinstance(event, Caution) and "painted" in event.message]
    assert len(said) == 1
    assert "atlas/sign.exr is painted and was kept" in said[0]
    manifest = Decomposition.open(own_folder).manifest
    assert said[0] in manifest.warnings
    assert (own_folder / "atlas/sign.exr").read_bytes() == painted
    assert (own_folder / "atlas/sign.orig.exr").read_bytes() == original
    assert manifest.atlas_files == {"sign": "atlas/sign.2.exr", "background": "atlas/background.exr"}
    assert manifest.original_files["sign"] == "atlas/sign.2.orig.exr"
    solve(shorter, tmp_path / "clean")
    for ours, theirs in (("sign.2.exr", "sign.exr"), ("sign.2.orig.exr", "sign.exr"), ("background.exr",) * 2):
        assert (own_folder / "atlas" / ours).read_bytes() == (tmp_path / "clean/atlas" / theirs).read_bytes()


def test_an_atlas_whose_original_is_gone_counts_as_painted(demo: DemoClip, own_folder: Path) -> None:
    (own_folder / "atlas/sign.orig.exr").unlink()
    mine = (own_folder / "atlas/sign.exr").read_bytes()
    solve(job_of(demo, residual="fidelity"), own_folder, replaces=True)
    assert (own_folder / "atlas/sign.exr").read_bytes() == mine
    assert Decomposition.open(own_folder).manifest.atlas_files["sign"] == "atlas/sign.2.exr"


def test_frames_of_a_longer_run_do_not_stay(demo: DemoClip, own_folder: Path) -> None:
    solve(job_of(demo, frames="3-4"), own_folder, replaces=True)
    assert sorted(path.name for path in (own_folder / "frames").iterdir()) == ["demo.0003.exr", "demo.0004.exr"]


def test_a_decomposition_that_was_moved_is_still_whole(own_folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(own_folder, tmp_path / "another place"))
    done = nvd("render", moved, "-o", tmp_path / "rendered")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "rendered").iterdir())) == len(list((moved / "frames").iterdir()))
