"""Build the extension: ``python tools/build_extension.py [FOLDER]`` writes ``nvd_blender-<version>.zip`` there.

The zip carries nvd_core as a pure wheel, so that Blender and the worker are always of one version.
"""

from __future__ import annotations

import hashlib
import json
import re
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
            own = next(wheel for wheel in wheels if wheel.name.startswith("nvd_blender-"))
            for lock in sorted((ROOT / "nvd_blender").glob("*.lock")):
                archive.writestr(lock.name, lock.read_text(encoding="utf-8") + _locked(own, version))
            for wheel in wheels:
                archive.write(wheel, f"wheels/{wheel.name}")
    return target


def _locked(wheel: Path, version: str) -> str:
    """The line that locks this project's own wheel."""
    return f"nvd-blender=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _wheels(folder: Path) -> list[Path]:
    """This project's own wheel, and that of the one package its standard-library part needs, as it is locked."""
    source = folder / "source"  # built from a copy: nothing is left in the repository
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("nvd_core", "nvd_blender"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-P", "-m", "pip", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, source], check=True)
    lock = (ROOT / "nvd_blender" / "engine.lock").read_text(encoding="utf-8")
    needed = source / "needed.txt"
    needed.write_text("".join(re.findall(r"^annotated-types==(?:.*\\\n)+.*\n", lock, re.MULTILINE)), encoding="utf-8")
    exactly = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "download", *exactly, "-d", folder, "-r", needed], check=True)
    return sorted(folder.glob("*.whl"))


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")))
