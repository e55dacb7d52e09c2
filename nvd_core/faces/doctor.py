"""Check this machine for everything that the program needs: Python, packages, CPU, disk."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from nvd_core import __version__
from nvd_core.spec.errors import shown

Severity = Literal["ok", "missing", "optional"]

_NEEDED: Final = {
    "numpy": "numpy", "scipy": "scipy", "opencv-python-headless": "cv2", "av": "av", "OpenEXR": "OpenEXR",
    "OpenImageIO": "OpenImageIO",
    "safetensors": "safetensors", "pydantic": "pydantic", "jaxtyping": "jaxtyping", "filelock": "filelock",
    "threadpoolctl": "threadpoolctl", "tyro": "tyro", "rich": "rich", "PyMaxflow": "maxflow",
}  # fmt: skip
"""Required packages: name of the distribution, and of the module."""

_OPTIONAL: Final = {
    "torch": "the neural solver runs on it: pip install 'nvd-blender[neural]'",
    "transformers": "learned models that carry or find masks run on it: pip install 'nvd-blender[models]'",
    "torchvision": "--flow raft:WEIGHTS and --find maskrcnn:WEIGHTS run on it, in the version made for your torch",
    "bpy": "Blender as a module: nvd demo re-composites through it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report."""

    what: str
    state: Severity
    detail: str


def examine() -> list[Finding]:
    """Check interpreter, packages, CPU and disk, without importing the packages."""
    findings = [
        Finding(
            what="Python",
            state="ok" if sys.version_info >= (3, 11) else "missing",
            detail=f"{platform.python_version()}, needs 3.11 or later",
        )
    ]
    findings.append(Finding(what="nvd-blender", state="ok", detail=__version__))
    findings += [_package(name, module) for name, module in _NEEDED.items()]
    findings += [
        Finding(what=name, state="ok" if find_spec(name) else "optional", detail=text)
        for name, text in _OPTIONAL.items()
    ]
    findings.append(Finding(what="processor", state="ok", detail=f"{os.cpu_count()} cores, {platform.machine()}"))
    findings.append(_disk())
    return findings


def _disk() -> Finding:
    try:
        here = Path.cwd()
        free = shutil.disk_usage(here).free
    except OSError:  # it was deleted, or its disk is gone; absolute paths still work
        return Finding(what="disk", state="optional", detail="the current directory is not there any more")
    return Finding(what="disk", state="ok", detail=f"{free / 1e9:.1f} GB free in {here}")


def _package(name: str, module: str) -> Finding:
    if find_spec(module) is None:
        return Finding(what=name, state="missing", detail="pip install 'nvd-blender[engine]'")
    try:
        return Finding(what=name, state="ok", detail=version(name))
    except PackageNotFoundError:  # another distribution of the module, such as opencv-python
        return Finding(what=name, state="ok", detail="installed")


def report(*, as_json: bool) -> int:
    """Print the report; return exit code 4 if a requirement is missing, else 0."""
    findings = examine()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            sys.stdout.write(shown(f"{finding.state:<8}  {finding.what:<{width}}  {finding.detail}\n"))
    return 4 if any(finding.state == "missing" for finding in findings) else 0
