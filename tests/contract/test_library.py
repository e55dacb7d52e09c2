"""The library as others use it: its examples run, and the process that it runs in stays as it was."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from support import results

import nvd_core
import nvd_core.api
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Progress

_PREVIEW = nvd_core.Settings.of(preset="preview", frames="1-2")

_HEAVY = {"numpy", "scipy", "cv2", "torch", "av", "OpenEXR", "OpenImageIO", "pydantic", "tyro", "rich"}

_HOST = """
import os, sys
import cv2, numpy, OpenImageIO, scipy.linalg, threadpoolctl  # each BLAS counts for itself, once it is loaded

def state():
    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    threads = cv2.getNumThreads(), pools, OpenImageIO.get_int_attribute("threads")
    return threads, dict(os.environ), sys.stdout, sys.stderr

cv2.setNumThreads(3)
OpenImageIO.attribute("threads", 5)
threadpoolctl.threadpool_limits(2)
before = state()
import nvd_core.api
assert state() == before, "importing it changed something"
during = []
result = nvd_core.decompose(
    sys.argv[1], settings=nvd_core.Settings.of(preset="preview", frames="1-2", find="nothing"), out=sys.argv[2],
    on_event=lambda event: during.append(cv2.getNumThreads()),
)
nvd_core.score(result), list(nvd_core.render(result))
assert set(during) == {1}, during
assert state() == before, "a job left something changed"
"""


def test_all_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(nvd_core.api)
    assert found.failed == 0
    assert found.attempted > len(nvd_core.__all__)


def test_the_notebook_runs_and_says_what_is_printed_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    path = Path(__file__).parents[2] / "docs" / "library.ipynb"
    printed, notebook = (nbformat.read(path, as_version=4) for _ in range(2))
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert [_kinds(cell) for cell in notebook.cells] == [_kinds(cell) for cell in printed.cells]
    assert _kinds(notebook.cells[-1]) == ["True['text/plain']"]


def _kinds(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell puts out: kinds of pictures; texts, but for numbers and places."""
    data = [output.data for output in cell.get("outputs", [])]
    return [re.sub(r"[\d.]+|object at \w+", "", str(one["text/plain"])) + str(sorted(one)) for one in data]


def test_whatever_is_offered_is_there_and_has_words() -> None:
    assert {*nvd_core.__all__} <= {*dir(nvd_core)}
    for name in nvd_core.__all__:
        assert getattr(nvd_core, name).__doc__
    assert (Path(nvd_core.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError):
        _ = nvd_core.repaint


def test_importing_it_loads_nothing_heavy() -> None:
    tell = "import sys, nvd_core; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", tell], check=True, capture_output=True, text=True).stdout.split()
    assert not _HEAVY & {*loaded}


def test_the_host_process_stays_as_it_was(demo: DemoClip, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    command = [sys.executable, "-c", _HOST, demo.frames, tmp_path / "out"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_library_makes_what_the_command_line_makes(
    demo: DemoClip, solved_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = nvd_core.Settings(preset="preview")
    result = nvd_core.decompose(demo.frames, demo.masks, settings=settings, out=tmp_path / "out")
    assert results(result.folder) == results(solved_folder)
    monkeypatch.chdir(tmp_path)
    folders = [nvd_core.decompose(demo.frames, demo.masks, settings=_PREVIEW).folder.name for _ in range(2)]
    assert folders == ["demo_nvd_1-2", "demo_nvd_1-2_v002"]
    with pytest.raises(nvd_core.NvdError, match="replace"):
        nvd_core.decompose(demo.frames, demo.masks, settings=_PREVIEW, out=folders[0])


def test_a_clip_may_have_a_name_that_is_no_unicode(demo: DemoClip, tmp_path: Path) -> None:
    clip = Path(shutil.copytree(demo.frames, os.fsdecode(os.fsencode(tmp_path) + b"/shot\xff")))
    masks = [nvd_core.MaskSource.of(name="sign", path=str(demo.masks["sign"]))]
    result = nvd_core.decompose(clip, masks, settings=_PREVIEW, out=tmp_path / "out")
    assert result.manifest.names == ("sign", "background")


def test_a_job_that_is_cancelled_is_taken_up(demo: DemoClip, tmp_path: Path) -> None:
    def stop(event: object) -> None:
        if isinstance(event, Progress) and event.done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nvd_core.decompose(demo.frames, demo.masks, settings=_PREVIEW, out=tmp_path, on_event=stop)
    result = nvd_core.decompose(demo.frames, demo.masks, settings=_PREVIEW, out=tmp_path, resume=True)
    assert len(result.manifest.source.numbers) == 2


def test_the_layers_of_a_frame_make_up_its_plate(solved: Decomposition) -> None:
    frame = solved.frame(3)
    rebuilt = sum(one.alpha[..., None] * one.residual * one.surface for one in frame.layers.values())
    assert cv2.PSNR(np.clip(rebuilt, 0, 1), np.clip(frame.plate, 0, 1), R=1) > 25
    assert solved.atlas("sign").shape[2] == 3


def test_what_is_not_there_is_told(solved: Decomposition) -> None:
    with pytest.raises(InputError, match=r"There is no frame 99.*1-8"):
        solved.frame(99)
    with pytest.raises(InputError, match=r"There is no layer 'car'.*sign, background"):
        solved.atlas("car")
    with pytest.raises(InputError, match="There is no layer 'car'"):
        nvd_core.render(solved, atlases={"car": "car.png"})
