"""Whose computer a manifest leads to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import _where_it_is, host_of


@pytest.mark.parametrize(
    ("path", "host"),
    [
        (r"C:\clips\a.mp4", ""),
        ("/clips/a.mp4", ""),
        (r"Z:\a.mp4", ""),
        (r"\\server\share\a.mp4", "server"),
        ("//SERVER/share/a.mp4", "server"),
        (r"\\server\other\a.mp4", "server"),
        (r"\\10.0.0.1@80\share\a.mp4", "10.0.0.1@80"),
        (r"\\?\UNC\server\share\a.mp4", r"\\?\unc\server\share"),
    ],
)
def test_the_host_of_a_path(path: str, host: str) -> None:
    assert host_of(path) == host


@pytest.mark.parametrize("name", ["file", "path"])
def test_a_plate_on_another_computer_is_refused_on_windows(solved: Decomposition, name: str) -> None:
    source = solved.manifest.source
    away = replace(source, **{name: r"\\evil\share\a.mp4"})
    with pytest.raises(InputError, match="leads to another computer"):
        _where_it_is(away, solved.folder, on_windows=True)
    assert _where_it_is(source, solved.folder, on_windows=True) == source
    beside = Path(r"\\evil\share\result")
    assert host_of(str(beside)) == "evil"
