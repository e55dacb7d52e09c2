"""The shapes that are written beside arrays are checked while tests run."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from nvd_core.masks import visible_alphas
from nvd_core.shot.compositing import look_up, owned


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: owned(np.zeros(3, np.float32)),
        lambda: owned(np.zeros((3, 3), np.float64)),
        lambda: look_up(np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 3), np.float32)),
        lambda: visible_alphas([np.zeros((2, 2), np.uint8)], (2, 2)),
    ],
)
def test_an_array_of_another_shape_or_kind_is_caught(wrong) -> None:
    with pytest.raises(TypeCheckError):
        wrong()


def test_whole_numbers_pass_for_real_ones_and_right_shapes_for_right() -> None:
    assert owned(np.ones((3, 3), np.float32)).all()
    from nvd_core.image.geometry import Box

    assert Box(4, 4, 6, 6).grown(2) == Box(2, 2, 8, 8)
