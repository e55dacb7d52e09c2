"""Set everything up and check everything: ``python3 tools/check.py``.

Makes ``.venv`` with the engine and the tools, one environment for each Blender that this machine has a
Python for, then runs the linters and all tests. What is there already is used again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLENDERS = {"4.2.23": "3.11", "4.5.15": "3.11", "5.0.1": "3.11", "5.2.3": "3.13"}
"""Versions of bpy, and the Python that each needs."""

_MOST_AT_ONCE = 4
"""Files of tests; each may hold a Blender and a decomposition. One more than there are cores: in its window, Blender
waits for half of the time."""


def main() -> int:
    """Set up, lint, test; the exit code is returned."""
    # Hundreds of processes import the same packages: the first one keeps what it has compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with ThreadPoolExecutor(3) as pool:  # most of it is the network's or the disk's time
        engine = pool.submit(environment, ".venv", sys.executable, "-e", ".[engine,blender,neural,models,dev]")
        window = pool.submit(blender_window)
        blenders = [path for path in pool.map(blender, BLENDERS) if path]
    python = engine.result()
    for tool, *arguments in (
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["lint-imports"],
        ["codespell"],
    ):
        if code := subprocess.run([python.with_name(tool), *arguments], cwd=ROOT, check=False).returncode:
            return code
    named = os.environ | {"NVD_BLENDERS": os.pathsep.join(map(str, blenders))} | window.result()
    # A file of tests shares what it has decomposed or seen in Blender, so files go to the cores, not single tests.
    # They keep the order in which tests/conftest.py puts them.
    workers = str(min(_MOST_AT_ONCE, 1 + (os.cpu_count() or 1)))
    at_once = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "20"]
    # The types take a minute of one core, while the first Blender with its window waits.
    with subprocess.Popen([python.with_name("basedpyright"), "--level", "error"], cwd=ROOT) as types:
        tests = subprocess.run([python, "-m", "pytest", *at_once], cwd=ROOT, env=named, check=False)
    return tests.returncode or types.returncode


def environment(name: str, interpreter: str | Path, *packages: str) -> Path:
    """A virtual environment in the repository with these packages; its Python is returned."""
    folder = ROOT / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.is_file():
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
    # What is imported is compiled then: half of the packages' modules, and a third of pip's time.
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-compile", *packages], check=True, cwd=ROOT)
    return python


def blender(version: str) -> Path | None:
    """An environment with this version of bpy, if there is a Python for it."""
    interpreter = python_of(BLENDERS[version])
    if interpreter is None:
        print(f"skipped: Blender {version} needs Python {BLENDERS[version]}, which is not found", flush=True)
        return None
    return environment(f".venv-blender-{version}", interpreter, f"bpy=={version}")


def blender_window() -> dict[str, str]:
    """Where a Blender with its window is started, for the tests' environment; nothing if there is none."""
    script = ROOT / "tests" / "gui" / "window.py"
    found = subprocess.run([sys.executable, script], check=False, stdout=subprocess.PIPE, text=True)
    return {"NVD_BLENDER_GUI": found.stdout.strip()} if found.returncode == 0 else {}


def python_of(version: str) -> Path | None:
    """A Python of this version that runs: on the path, or installed beside the one that runs this.

    A name on the path may be a version manager's shim, which starts nothing until it is told a version.
    """
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python{version}"))
    for candidate in filter(None, (shutil.which(f"python{version}"), *beside)):
        if subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode == 0:
            return Path(candidate)
    return None


if __name__ == "__main__":
    sys.exit(main())
