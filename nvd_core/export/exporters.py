"""Run the exporters of :mod:`nvd_core.spec.exporters`."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from pkgutil import resolve_name

from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.errors import UsageError
from nvd_core.spec.exporters import EXPORTERS
from nvd_core.spec.path_safety import refuse_inside


def run_exporter(decomposition: Decomposition, name: str) -> Generator[Path, None, None]:
    """Write a decomposition in another form to the folder of the exporter's name, and yield the path of each file.

    Raises:
        UsageError: there is no such exporter.
        InputError: the files cannot be written, or would be written over the clip.
    """
    if name not in EXPORTERS:
        raise UsageError(f"There is no exporter {name}", hint=f"There is {' or '.join(EXPORTERS)}.")
    refuse_inside(decomposition.folder, decomposition.clip.info.files, [name])
    with sole_writer(decomposition.folder):
        yield from resolve_name(EXPORTERS[name].writer)(decomposition)
