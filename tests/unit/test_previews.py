"""Pictures for whoever watches: small, and nobody's work ends for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvd_core.clip.pictures import read_rgb
from nvd_core.shot.previews import write_preview
from nvd_core.spec.protocol import Preview

PICTURE = np.full((300, 600, 3), 90, np.uint8)


def test_a_picture_is_made_small_and_told_of(tmp_path: Path) -> None:
    path = tmp_path / "preview-sign.png"
    told = []
    write_preview(PICTURE, "sign", tmp_path, told.append)
    assert told == [Preview(path=str(path), layer="sign")]
    assert read_rgb(path).shape == (128, 256, 3)


def test_one_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "preview.png").mkdir()
    write_preview(PICTURE, "", tmp_path, lambda _: pytest.fail("there is none"))
