"""The header of an EXR, read without a library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from support import extension_module

from nvd_core.clip import pictures

exr_header = extension_module("result.exr_header")


def write(path: Path, data: tuple[int, int], display: tuple[int, int], **more: object) -> Path:
    """An EXR with windows of these widths and heights."""
    header = {
        name: (np.zeros(2, np.int32), np.array([width - 1, height - 1], np.int32))
        for name, (width, height) in {"dataWindow": data, "displayWindow": display}.items()
    }
    channels = {name: np.zeros(data[::-1], np.float16) for name in "RGB"}
    OpenEXR.File({"type": OpenEXR.scanlineimage, **header, **more}, channels).write(str(path))
    return path


@pytest.mark.parametrize("display", [(8, 6), (8, 7), (7, 6), (30, 20)])
def test_the_windows_are_those_that_the_core_reads(tmp_path: Path, display: tuple[int, int]) -> None:
    path = write(tmp_path / "a.exr", (8, 6), display, comments="dataWindow\0box2i\0" * 90)
    assert exr_header.has_own_window(path) is pictures.has_own_window(path) is (display != (8, 6))


def test_what_is_cut_off_or_none_at_all_has_no_window(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.exr", (8, 6), (30, 20)).read_bytes()
    end = whole.index(b"screenWindowWidth")
    path = tmp_path / "cut.exr"
    for length in (0, 3, 4, 8, 9, *range(10, end, 7)):
        path.write_bytes(whole[:length])
        assert exr_header.has_own_window(path) in {False, True}
    path.write_bytes(b"\x89PNG and more")
    assert exr_header.has_own_window(path) is False
    path.write_bytes(whole[:8] + b"name\0type\0\xff\xff\xff\xff" + bytes(99))
    assert exr_header.has_own_window(path) is False
    with pytest.raises(OSError, match="No such file"):
        exr_header.has_own_window(tmp_path / "none.exr")
