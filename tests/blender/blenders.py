"""The Blenders to test in: NVD_BLENDERS names Pythons that have ``bpy``, separated as in PATH, oldest first."""

from __future__ import annotations

import os
from pathlib import Path

BLENDERS = [Path(path) for path in os.environ.get("NVD_BLENDERS", "").split(os.pathsep) if path]
