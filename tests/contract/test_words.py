"""Every end is told in words: too little address space, faults of ours, and what a library makes of either."""

from __future__ import annotations

import re
import resource
import subprocess
from pathlib import Path

import pytest
from support import command, sliding

from nvd_core.faces.cli import run
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.address_space import check_address_space
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import MemoryLimitError, as_told
from nvd_core.spec.protocol import Failed, decode
from nvd_core.spec.settings import Job, Settings

LIMITS = [100 << 20, 300 << 20, 500 << 20, 700 << 20, 1000 << 20]
"""Below these the loader gave up on a package, or the process was gone without a word."""


def limited(limit: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, preexec_fn=bound)


@pytest.mark.parametrize("limit", LIMITS)
def test_too_little_address_space_is_told_in_words(limit: int, tmp_path: Path) -> None:
    done = limited(limit, "decompose", sliding(tmp_path / "clip", 2), "-o", tmp_path / "out", "--preset=preview")
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("nvd: The system lets a process reserve")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_worker_tells_it_in_its_protocol(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"clip": "nothing"}')
    done = limited(LIMITS[0], "worker", tmp_path / "job.json", tmp_path / "out")
    last = decode(done.stdout.splitlines()[-1])
    assert isinstance(last, Failed), done.stdout
    assert (done.returncode, last.code) == (5, "memory")


def test_a_job_that_would_not_fit_is_refused_before_it_begins(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, hard))
    try:
        check_address_space(1e8)
        with pytest.raises(MemoryLimitError, match="reserve"):
            check_address_space(3e9)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 5),
        (ImportError("libcv.so: failed to map segment from shared object"), 5),
        (RuntimeError("can't start new thread"), 5),
        (OSError(12, "Cannot allocate memory"), 5),
        (ImportError("libGL.so.1: cannot open shared object file"), 4),
        (ModuleNotFoundError("No module named 'cv2'"), 4),
        (PermissionError(13, "Permission denied", "a.exr"), 3),
        (RuntimeError("Symlink loop from '/a/b'"), 3),
        (KeyError("x"), 1),
    ],
)
def test_what_errors_come_to(error: Exception, code: int) -> None:
    assert as_told(error).exit_code == code


def test_what_opencv_says_of_memory_is_taken_for_that() -> None:
    import cv2

    said = cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes")
    assert as_told(said).exit_code == 5


def test_a_fault_of_ours_is_a_sentence_and_a_file(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("a number\nthat is 0")

    monkeypatch.setattr(Decomposition, "open", broken)
    assert run(["score", str(own_folder)]) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert told.startswith("nvd: This is a fault of NVD: ZeroDivisionError: a number (")
    noted = Path(told.split("(")[1].split(")")[0])
    assert "ZeroDivisionError" in noted.read_text()
    noted.unlink()


def test_a_single_frame_is_not_told_of_motion(tmp_path: Path) -> None:
    """Noise is what no atlas shows; a single frame of it has no motion all the same."""
    import numpy as np
    from support import solve

    from nvd_core.clip.pictures import write_png

    noise = np.random.default_rng(0).integers(0, 2, (64, 96, 3), np.uint8) * np.uint8(255)
    write_png(tmp_path / "still.png", noise)
    settings = Settings.of(preset="preview", find="nothing")
    solve(Job(clip=str(tmp_path / "still.png"), settings=settings), tmp_path / "out")
    manifest = Decomposition.open(tmp_path / "out").manifest
    assert manifest.metrics["psnr"] < 26
    told = " ".join(manifest.warnings)
    assert "from the plate" in told
    assert "motion" not in told
    assert "shorter" not in told


@pytest.mark.parametrize(("frames", "is_advised"), [(4, False), (8, False), (9, True)])
def test_a_shorter_range_is_advised_only_where_frames_are_to_spare(
    frames: int, is_advised: bool, tmp_path: Path
) -> None:
    """Noise, anew in every frame: no motion explains it."""
    import numpy as np
    from support import solve

    from nvd_core.clip.pictures import write_png

    dice = np.random.default_rng(0)
    for number in range(1, frames + 1):
        noise = dice.integers(0, 2, (64, 96, 3), np.uint8) * np.uint8(255)
        write_png(tmp_path / "clip" / f"noise.{number:04d}.png", noise)
    settings = Settings.of(preset="preview", find="nothing")
    solve(Job(clip=str(tmp_path / "clip"), settings=settings), tmp_path / "out")
    told = " ".join(Decomposition.open(tmp_path / "out").manifest.warnings)
    assert "some motion was not followed" in told
    assert ("shorter range" in told) == is_advised
    assert is_advised or not re.search(r"range|decompose frames|--frames", told), told


@pytest.mark.parametrize(("frames", "is_advised"), [(4, False), (8, False), (9, True)])
@pytest.mark.parametrize("name", ["unfollowed", "textured_light", "swimming", "folded", "turning"])
def test_no_symptom_advises_a_range_shorter_than_its_clip_can_spare(
    name: str, frames: int, is_advised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nvd_core.quality.diagnosis import quality, turning
    from nvd_core.quality.diagnosis.evidence import Case

    bad = {"psnr": 9.0, "psnr_atlas_only": 9.0, "light_detail_stops": 9.0, "uv_flow_error_px": 9.0, "folded_share": 0.9}
    numbers, size = range(1, frames + 1), Size(96, 64)
    case = Case("dog", numbers, size, size, is_place=name == "unfollowed", metrics=bad, clip=bad)
    monkeypatch.setattr(turning, "is_put_together", lambda _: False)
    monkeypatch.setattr(turning, "least_common", lambda _: (0.1, 0, 1))
    judge = turning.judge if name == "turning" else getattr(quality, name)
    (found,) = judge([], case)
    assert found.name == name
    assert ("range" in found.hint) == is_advised
    assert len(found.hint.split()) > 5, "something else is advised"


@pytest.mark.parametrize("size", [Size(32, 300), Size(40, 720), Size(500, 33)])
@pytest.mark.parametrize("find", ["moving", "nothing"])
def test_narrow_clips_are_decomposed(size: Size, find: str, tmp_path: Path) -> None:
    from support import solve

    clip = sliding(tmp_path / "clip", 3, size, 1)
    solve(Job(clip=str(clip), settings=Settings.of(preset="preview", find=find)), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.size == size
    assert decomposition.manifest.metrics["psnr"] > 26
