"""The extension, built once for all sessions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, freshly built."""
    tool = Path(__file__).parents[2] / "tools" / "build_extension.py"
    command = [sys.executable, tool, tmp_path_factory.mktemp("dist")]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
