"""``nvd score``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tyro.conf import Positional

from nvd_core.export.report import words
from nvd_core.faces.cli.talk import AsJson, Folder, bar, json_text
from nvd_core.quality.measure import measure
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Score:
    """Measure a decomposition on the files that were written."""

    folder: Positional[Folder]
    json: AsJson = False

    def run(self) -> str:
        """Measure all frames."""
        decomposition = Decomposition.open(self.folder)
        with bar() as show:
            metrics = measure(decomposition, progress=Progress(show).stage("measure"))
        return json_text(metrics) if self.json else words(replace(decomposition.manifest, metrics=metrics))
