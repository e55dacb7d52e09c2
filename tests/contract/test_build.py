"""The extension's build: of what it carries, each package is the very one that the lock names."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = "annotated_types"


@pytest.fixture
def tool() -> ModuleType:
    """The build, as a module of its own."""
    spec = spec_from_file_location("build_extension", ROOT / "tools" / "build_extension.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def locked(lock: str) -> tuple[str, list[str]]:
    """Version and digests of the package in a lock."""
    found = re.search(
        r"^annotated-types==(?P<version>\S+).*\n(?P<digests>(?: +--hash=sha256:.*\n)+)", lock, re.MULTILINE
    )
    assert found, "the lock does not name it"
    return found["version"], re.findall(r"sha256:(\w+)", found["digests"])


def test_what_the_extension_carries_is_what_the_lock_names(extension: Path) -> None:
    version, digests = locked((ROOT / "nvd_blender" / "engine.lock").read_text(encoding="utf-8"))
    with zipfile.ZipFile(extension) as archive:
        wheels = [name for name in archive.namelist() if name.endswith(".whl")]
        others = [name for name in wheels if not name.startswith("wheels/nvd_blender-")]
        assert [name.rpartition("/")[2].split("-")[:2] for name in others] == [[NEEDED, version]]
        assert hashlib.sha256(archive.read(others[0])).hexdigest() in digests


def test_a_package_that_is_not_the_locked_one_is_not_built_in(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a newer one, or one that an index was made to offer."""
    root, run = tmp_path / "root", subprocess.run
    root.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "nvd_core"):
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "nvd_blender", root / "nvd_blender", ignore=shutil.ignore_patterns("__pycache__"))
    lock = root / "nvd_blender" / "engine.lock"
    text = lock.read_text(encoding="utf-8")
    for digest in locked(text)[1]:
        text = text.replace(digest, digest[::-1])
    lock.write_text(text, encoding="utf-8")
    monkeypatch.setattr(tool, "ROOT", root)
    monkeypatch.setattr(tool.subprocess, "run", lambda what, **how: "wheel" in what or run(what, **how))
    (tmp_path / "wheels").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        tool._wheels(tmp_path / "wheels")
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err
    assert not list((tmp_path / "wheels").glob("*.whl"))
