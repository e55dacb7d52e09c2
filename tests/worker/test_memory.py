"""What a job's process really uses: no more than it may, and its own use alone is what it reports."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import command, disc, job_file, nvd, texture, tree, write_masks

from nvd_core.clip.pictures import write_png
from nvd_core.runtime.costs import peak_memory_bytes
from nvd_core.runtime.parallel import WORKERS
from nvd_core.spec.conventions import Size
from nvd_core.spec.forecast import Needs
from nvd_core.spec.settings import Job, MaskSource, Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what a process uses")

MEASURED = """
import sys
from pathlib import Path
from nvd_core.faces.cli import run
code = run(sys.argv[2:])
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
Path(sys.argv[1]).write_text(peak.split()[1])
sys.exit(code)
"""
"""A job whose process writes down its peak in kB, the last thing that it does."""

JOBS = {
    "a still of 1920x1080 with an object": (Size(1920, 1080), 1),
    "two frames of 960x540 with an object": (Size(960, 540), 2),
}


def written(at: Path, size: Size, frames: int) -> Job:
    """A clip that pans behind an object, and its job."""
    wide = texture(Size(size.width + 2 * frames, size.height))
    for t in range(frames):
        write_png(at / "clip" / f"shot.{t + 1:04d}.png", wide[:, 2 * t : 2 * t + size.width])
    discs = [disc((size.width // 2, size.height // 2), size.height // 5, size)] * frames
    mask = MaskSource.of(name="box", path=str(write_masks(at / "masks", discs)))
    return Job(clip=str(at / "clip"), masks=(mask,), settings=Settings(preset="preview"))


@pytest.mark.parametrize("name", JOBS)
def test_a_job_stays_within_the_memory_that_it_is_said_to_need_at_least(name: str, tmp_path: Path) -> None:
    size, frames = JOBS[name]
    job = written(tmp_path, size, frames)
    needed = Needs.of(size, frames, job.masks, job.settings).memory_bytes(1, WORKERS)
    run = ["decompose", job.clip, f"--mask=box={job.masks[0].path}", "--preset=preview", "-o", tmp_path / "out"]

    before = tree(tmp_path)
    done = nvd(*run, f"--memory={math.floor(needed / 1e6) - 1}M")
    assert (done.returncode, done.stdout) == (5, "")
    assert re.fullmatch(r"nvd: The job needs about .* of memory, and .* may be used\..*", done.stderr.strip()), (
        done.stderr
    )
    assert tree(tmp_path) == before
    assert not (tmp_path / "out").exists()

    budget = math.ceil(needed / 1e3) / 1e3
    peak = tmp_path / "peak.txt"
    measured = [sys.executable, "-c", MEASURED, peak, *run, f"--memory={budget:.3f}M"]
    done = subprocess.run([*map(str, measured)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(peak.read_text()) * 1024 <= budget * 1e6
    assert int(peak.read_text()) * 1024 > 100e6, "that was not the job's"


def test_a_large_parents_memory_is_not_reported_as_the_workers(tmp_path: Path) -> None:
    """As Blender is, with a scene in memory: a child begins as its copy, and the system counts that."""
    job = job_file(tmp_path / "job.json", written(tmp_path, Size(96, 64), 2))
    parent = np.ones(80_000_000)  # 640 MB
    assert (peak_memory_bytes() or 0) > parent.nbytes
    said = "from nvd_core.runtime.costs import peak_memory_bytes; print(peak_memory_bytes())"
    own = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout
    assert 5e6 < int(own) < 200e6
    with subprocess.Popen(
        command("worker", job, tmp_path / "out"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        said = worker.stdout.read()
    assert worker.returncode == 0, said
    costs = json.loads((tmp_path / "out" / "report" / "report.json").read_text())["costs"]
    assert 50e6 < costs["peak_memory_bytes"] < parent.nbytes
    assert costs["memory_before_bytes"] < costs["peak_memory_bytes"]
