"""What this machine has, and what it lacks."""

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

Severity = Literal["ok", "missing", "optional"]

_NEEDED: Final = {
    "numpy": "numpy", "scipy": "scipy", "opencv-python-headless": "cv2", "av": "av", "OpenEXR": "OpenEXR",
    "safetensors": "safetensors", "pydantic": "pydantic", "jaxtyping": "jaxtyping", "filelock": "filelock",
    "threadpoolctl": "threadpoolctl", "tyro": "tyro", "rich": "rich", "PyMaxflow": "maxflow",
}  # fmt: skip
"""Packages by their name in the registry, and how they are imported."""

_OPTIONAL: Final = {
    "torch": "the neural solver runs on it: pip install 'nvd-blender[neural]'",
    "transformers": "learned models that carry or find masks run on it: pip install 'nvd-blender[models]'",
    "torchvision": "--flow raft:WEIGHTS and --find maskrcnn:WEIGHTS run on it, in the version made for your torch",
    "bpy": "Blender as a module: nvd demo re-composites through it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the diagnosis."""

    what: str
    state: Severity
    detail: str


def examine() -> list[Finding]:
    """Look at interpreter, packages, processor and disk. Imports nothing heavy."""
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
    free = shutil.disk_usage(Path.cwd()).free
    findings.append(Finding(what="processor", state="ok", detail=f"{os.cpu_count()} cores, {platform.machine()}"))
    findings.append(Finding(what="disk", state="ok", detail=f"{free / 1e9:.1f} GB free in {Path.cwd()}"))
    return findings


def _package(name: str, module: str) -> Finding:
    if find_spec(module) is None:
        return Finding(what=name, state="missing", detail="pip install 'nvd-blender[engine]'")
    try:
        return Finding(what=name, state="ok", detail=version(name))
    except PackageNotFoundError:  # under another name, as opencv-python is
        return Finding(what=name, state="ok", detail="installed")


def report(*, as_json: bool) -> int:
    """Print the diagnosis; exit code 4 if something needed is missing."""
    findings = examine()
    if as_json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            sys.stdout.write(f"{finding.state:<8}  {finding.what:<{width}}  {finding.detail}\n")
    return 4 if any(finding.state == "missing" for finding in findings) else 0
