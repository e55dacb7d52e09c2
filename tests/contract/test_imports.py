"""What the extension carries into Blender needs the standard library alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nvd_core

ROOT = Path(__file__).parents[2]
CARRIED = sorted(path.stem for path in (ROOT / "nvd_core" / "spec").glob("*.py"))


def loaded_by(*modules: str) -> set[str]:
    """Top-level packages outside the standard library that a fresh process has after these imports."""
    code = f"""
import sys
before = set(sys.modules)
for name in {modules!r}:
    __import__(name)
import json
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(new - set(sys.stdlib_module_names))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", CARRIED)
def test_what_is_carried_loads_nothing_else(module: str) -> None:
    assert loaded_by(f"nvd_core.spec.{module}") <= {"nvd_core", *loaded_by("annotated_types")}


def test_the_check_sees_what_is_loaded() -> None:
    assert loaded_by("annotated_types") <= {"annotated_types", "typing_extensions"}
    assert loaded_by("nvd_core.shot.compositing") >= {"numpy", "cv2"}
    assert "numpy" in loaded_by("nvd_core.spec.errors", "nvd_core.quality.metrics")


def test_the_core_never_loads_torch_or_blender() -> None:
    assert not loaded_by("nvd_core.faces.cli", "nvd_core.faces.worker", "nvd_core.faces.doctor") & {"torch", "bpy"}


def test_versions_agree() -> None:
    blender = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert blender["version"] == nvd_core.__version__


def test_the_license_is_one() -> None:
    blender = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert blender["license"] == [f"SPDX:{project['license']}"]


def test_nothing_read_back_is_code() -> None:
    """No pickle and the like anywhere: not by import, not by a numpy flag."""
    banned = (
        "import pickle",
        "import shelve",
        "import marshal",
        "allow_pickle=True",
        "yaml.load",
        "eval(",
    )
    for path in (ROOT / "nvd_core").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in banned if word in text], path
        assert not re.search(r"torch\.load\((?!.*weights_only=True)", text), path
