"""``nvd export``."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

from tyro.conf import Positional, arg

from nvd_core.export.exporters import run_exporter
from nvd_core.faces.cli.talk import AsJson, Folder, json_text, talk, tracked
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import UsageError
from nvd_core.spec.exporters import EXPORTERS


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a decomposition in another form, for other programs."""

    folder: Positional[Folder]
    json: AsJson = False

    @classmethod
    def with_flags(cls) -> Any:  # noqa: ANN401 (a dataclass made here)
        """The command with a flag for each row of the table."""
        flags = [(name, Annotated[bool, arg(help=one.about)], False) for name, one in EXPORTERS.items()]
        return make_dataclass(
            "Export", flags, bases=(cls,), namespace={"__doc__": cls.__doc__}, frozen=True, kw_only=True
        )

    def run(self) -> str:
        """Export with every exporter whose flag is set."""
        chosen = {name: one for name, one in EXPORTERS.items() if getattr(self, name, False)}
        if not chosen:
            raise UsageError(
                "Nothing to export is named", hint=f"Write nvd export FOLDER --{' or --'.join(EXPORTERS)}."
            )
        decomposition, written = Decomposition.open(self.folder), []
        for name, one in chosen.items():
            count = len([*one.paths(decomposition.folder, decomposition.manifest)])
            paths = list(tracked(run_exporter(decomposition, name), count, name))
            talk.print(f"{len(paths)} {one.files} in {decomposition.folder / name}", soft_wrap=True)
            written += paths
        return json_text({"files": [str(path.absolute()) for path in written]}) if self.json else ""
