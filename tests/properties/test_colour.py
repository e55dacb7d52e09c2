"""Colour: sRGB and linear light."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nvd_core.image.colour import display_from_linear, linear_from_display, to_display, to_linear, to_uint8

FLOATS = st.floats(-64, 64, width=32)


def test_every_8_bit_value_comes_back() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(display_from_linear(to_linear(every))), every)
    assert np.array_equal(to_uint8(to_display(every)), every)


def test_every_8_bit_value_comes_back_from_a_half_float_exr() -> None:
    every = np.arange(256, dtype=np.uint8)
    half = to_linear(every).astype(np.float16).astype(np.float32)
    assert np.array_equal(to_uint8(display_from_linear(half)), every)


def test_every_16_bit_value_comes_back() -> None:
    every = np.arange(65536, dtype=np.uint16)
    coded = display_from_linear(to_linear(every))
    assert np.array_equal(np.rint(coded * 65535).astype(np.uint16), every)


@given(arrays(np.float32, array_shapes(max_dims=3, max_side=4), elements=FLOATS))
def test_floats_come_back_also_beyond_0_and_1(linear: np.ndarray) -> None:
    np.testing.assert_allclose(linear_from_display(display_from_linear(linear)), linear, rtol=2e-5, atol=1e-7)


@given(arrays(np.float32, 8, elements=FLOATS, unique=True))
def test_brighter_stays_brighter(linear: np.ndarray) -> None:
    ordered = np.sort(linear)
    assert (np.diff(display_from_linear(ordered)) >= 0).all()


def test_the_curve_is_that_of_the_standard() -> None:
    """IEC 61966-2-1: half the code is about a fifth of the light; black and white are fixed."""
    np.testing.assert_allclose(linear_from_display(np.float32([0, 0.5, 1])), [0, 0.2140411, 1], atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_integers_are_display_encoded_over_their_full_range(kind: type) -> None:
    ends = np.array([0, np.iinfo(kind).max], kind)
    assert to_linear(ends).tolist() == to_display(ends).tolist() == [0, 1]


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_floats_are_linear(kind: type) -> None:
    assert to_linear(np.array([0.18, 4], kind)).tolist() == np.array([0.18, 4], kind).astype(np.float32).tolist()
