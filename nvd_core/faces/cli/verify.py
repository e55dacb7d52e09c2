"""``nvd verify``."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional

from nvd_core.faces.cli.talk import Folder
from nvd_core.result.decomposition import Decomposition


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Read all frames of a decomposition, and say what is wrong with the first that cannot be used. Used by Blender."""

    folder: Positional[Folder]

    def run(self) -> str:
        """Read them."""
        Decomposition.open(self.folder).check_frames()
        return ""
