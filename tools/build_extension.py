"""Build the extension: ``python tools/build_extension.py [FOLDER]`` writes ``nvd_blender-<version>.zip`` there.

The zip carries nvd_core as a pure wheel, so that Blender and the worker are always of one version.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(out: Path) -> Path:
    """Write the zip into a folder; its path is returned."""
    manifest = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    version = tomllib.loads(manifest)["version"]
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"nvd_blender-{version}.zip"
    with tempfile.TemporaryDirectory() as temporary:
        wheels = _wheels(Path(temporary))
        listed = json.dumps([f"./wheels/{wheel.name}" for wheel in wheels])
        lines = [f"wheels = {listed}" if line.startswith("wheels = ") else line for line in manifest.splitlines()]
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("blender_manifest.toml", "\n".join(lines) + "\n")
            archive.write(ROOT / "LICENSE", "LICENSE")
            for source in sorted((ROOT / "nvd_blender").rglob("*.py")):
                archive.write(source, source.relative_to(ROOT / "nvd_blender"))
            for wheel in wheels:
                archive.write(wheel, f"wheels/{wheel.name}")
    return target


def _wheels(folder: Path) -> list[Path]:
    """This project's own wheel, and that of the one package its standard-library part needs."""
    source = folder / "source"  # built from a copy: nothing is left in the repository
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("nvd_core", "nvd_blender"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for wanted in (str(source), "annotated-types"):
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), wanted]
        subprocess.run(command, check=True)
    return sorted(folder.glob("*.whl"))


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")))
