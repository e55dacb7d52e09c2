"""A frame's EXR shrunk to a pixel, from which Blender builds nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from support import extension_module

from nvd_core.decomposition import Decomposition

one_pixel = extension_module("one_pixel")


def test_it_has_the_same_channels(solved: Decomposition, tmp_path: Path) -> None:
    frame = solved.manifest.frame_path(solved.folder, solved.manifest.source.first)
    one_pixel.write_one_pixel(frame, tmp_path / "one.exr")
    with (
        OpenEXR.File(str(frame), separate_channels=True) as large,
        OpenEXR.File(str(tmp_path / "one.exr"), separate_channels=True) as small,
    ):
        types = {name: channel.pixels.dtype for name, channel in large.channels().items()}
        assert {name: channel.pixels.dtype for name, channel in small.channels().items()} == types
        assert {channel.pixels.shape for channel in small.channels().values()} == {(1, 1)}
        assert not any(np.any(channel.pixels) for channel in small.channels().values())


def test_what_is_no_exr_is_told(tmp_path: Path) -> None:
    (tmp_path / "not.exr").write_bytes(b"12345678 and so on")
    with pytest.raises(ValueError, match=r"not\.exr is no EXR"):
        one_pixel.write_one_pixel(tmp_path / "not.exr", tmp_path / "one.exr")
