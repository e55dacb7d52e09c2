"""Interpret the output of ``nvd doctor --json``. Independent of Blender."""

from __future__ import annotations

import json
from collections.abc import Collection

from nvd_core import __version__

from .pip_output import failing_line


def fault(code: int, lines: Collection[str]) -> str:
    """Say why a Python cannot run the engine; empty if it can.

    Args:
        code: the doctor's exit code.
        lines: its output.
    """
    try:
        said = "".join(lines)
        findings = json.JSONDecoder().raw_decode(said, said.index("["))[0]  # before it there may be warnings
        missing = [found["what"] for found in findings if found["state"] == "missing"]
        version = next((found["detail"] for found in findings if found["what"] == "nvd-blender"), "before 0.1.0")
    except (ValueError, TypeError, KeyError):
        if any("No module named" in line and "nvd_core" in line for line in lines):
            return "nvd-blender[engine] is not installed there. Install it there, or choose another Python."
        if any(line.lower().startswith("unknown option: -p") for line in lines):
            return "It is older than Python 3.11, which the engine needs. Choose another Python."
        return f"It does not answer as an engine does (code {code}): {failing_line(lines)}"
    if missing:
        return f"Missing there: {', '.join(missing)}. Install nvd-blender[engine] there."
    if version != __version__:
        return f"The engine there has version {version}, the extension {__version__}. Install it there again."
    return ""
