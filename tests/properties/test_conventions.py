"""Coordinates: pixels to atlas coordinates and back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvd_core.spec.conventions import rescale_px, u_from_x, v_from_y, x_from_u, y_from_v

SIDES = st.integers(1, 16384)
PLACES = st.fractions(-100, 16484, max_denominator=64)


class Exact(Fraction):
    """A number that floats join without rounding."""

    def __add__(self, other):
        return Exact(Fraction(self) + Fraction(other))

    def __sub__(self, other):
        return Exact(Fraction(self) - Fraction(other))

    def __rsub__(self, other):
        return Exact(Fraction(other) - Fraction(self))

    def __mul__(self, other):
        return Exact(Fraction(self) * Fraction(other))

    def __truediv__(self, other):
        return Exact(Fraction(self) / Fraction(other))


THERE_AND_BACK = [(u_from_x, x_from_u), (v_from_y, y_from_v)]


@pytest.mark.parametrize(("there", "back"), THERE_AND_BACK)
@given(place=PLACES, side=SIDES)
def test_there_and_back_is_exact(there, back, place: Fraction, side: int) -> None:
    """In exact arithmetic, so that no rounding hides a wrong half pixel."""

    assert back(there(Exact(place), side), side) == place
    assert there(back(Exact(place), side), side) == place


@pytest.mark.parametrize(("there", "back"), THERE_AND_BACK)
@given(side=SIDES)
def test_whole_pixels_come_back_bit_by_bit(there, back, side: int) -> None:
    pixels = np.arange(side)
    assert np.array_equal(np.rint(back(there(pixels, side), side)), pixels)
    single = there(pixels.astype(np.float32), side)
    assert np.abs(back(single, side) - pixels).max() < 2**-9  # float32 holds a place in 16384 texels this well


@given(width=SIDES, height=SIDES)
def test_the_origin_is_bottom_left(width: int, height: int) -> None:
    left, bottom, right, top = -0.5, height - 0.5, width - 0.5, -0.5
    assert (u_from_x(left, width), v_from_y(bottom, height)) == (0, 0)
    assert (u_from_x(right, width), v_from_y(top, height)) == (1, 1)


@given(count=st.integers(2, 4096))
def test_texel_centres_lie_at_half(count: int) -> None:
    step = 1 / count
    assert u_from_x(0, count) == step / 2
    assert v_from_y(count - 1, count) == pytest.approx(step / 2, abs=1e-12)
    assert u_from_x(1, count) > u_from_x(0, count)
    assert v_from_y(1, count) < v_from_y(0, count)


@given(place=st.floats(-10, 5000), source=SIDES, target=SIDES)
def test_a_change_of_size_keeps_the_share_of_the_picture(place: float, source: int, target: int) -> None:
    moved = rescale_px(place, source, target)
    assert u_from_x(moved, target) == pytest.approx(u_from_x(place, source), rel=1e-9, abs=1e-9)
    assert rescale_px(moved, target, source) == pytest.approx(place, rel=1e-9, abs=1e-6)
