"""Fixtures for all tests: one small clip with known truth, decomposed once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

if find_spec("beartype"):  # before anything of nvd_core is imported
    install_import_hook("nvd_core", "shape_checks.checked")

from support import job_of, solve

from nvd_core.faces.demo_clip import DemoClip, write_clip
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.host import one_thread_each
from nvd_core.spec.conventions import Size


def pytest_configure(config: pytest.Config) -> None:
    """Parts of a job that tests call find the process as the job would set it; before any test imports torch."""
    context = one_thread_each()
    context.__enter__()
    config.add_cleanup(lambda: context.__exit__(None, None, None))


_LONGEST_FIRST = ("gui/test_window.py", "golden/", "blender/", "gui/", "worker/", "contract/")
"""Files that take minutes begin first, so that no core waits for the last of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((at for at, start in enumerate(_LONGEST_FIRST) if name.startswith(start)), len(_LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoClip:
    """Eight frames of the demo's sign in front of its wall."""
    return write_clip(tmp_path_factory.mktemp("demo"), frames=8, size=Size(200, 112))


@pytest.fixture(scope="session")
def solved_folder(demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clip decomposed. Look, do not touch: all tests share it."""
    folder = tmp_path_factory.mktemp("solved") / "out"
    solve(job_of(demo), folder)
    return folder


@pytest.fixture(scope="session")
def solved(solved_folder: Path) -> Decomposition:
    """The demo clip decomposed, opened."""
    return Decomposition.open(solved_folder)


@pytest.fixture
def own_folder(solved_folder: Path, tmp_path: Path) -> Path:
    """A copy of the decomposed demo clip to work on."""
    return Path(shutil.copytree(solved_folder, tmp_path / "own"))


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension as a zip, freshly built, once for all sessions."""
    tool = Path(__file__).parents[1] / "tools" / "build_extension.py"
    command = [sys.executable, tool, tmp_path_factory.mktemp("dist")]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
