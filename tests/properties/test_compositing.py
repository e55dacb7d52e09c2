"""The laws of compositing, for any atlas, map, light and matte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvd_core.masks import visible_alphas
from nvd_core.shot.compositing import Look, changed, keep_plate, look_up, owned, paint, rebuild, see_through
from nvd_core.spec.conventions import OWNED_FROM, u_from_x, v_from_y

SEEDS = st.integers(0, 1 << 32)
SHAPE = (6, 7)
KINDS = ("object", "object", "background")


def any_uv(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.3, 1.3, (*SHAPE, 2)).astype(np.float32)


def any_colour(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.lognormal(-1, 1.5, (*(shape or SHAPE), 3)).astype(np.float32)


def any_alpha(rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.float32([0, 0.3, 0.95, 1]), SHAPE)


@given(SEEDS)
def test_what_is_not_painted_stays_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate, surface = any_colour(rng), any_colour(rng)
    assert np.array_equal(keep_plate(plate, any_alpha(rng), any_colour(rng), paint(surface, surface), surface), plate)


@given(SEEDS)
def test_paint_touches_only_what_shows_it(seed: int) -> None:
    """One texel is painted: pixels that do not look it up, or do not show the layer, stay exactly."""
    rng = np.random.default_rng(seed)
    original = any_colour(rng, 9, 8)
    painted = original.copy()
    row, column = rng.integers(9), rng.integers(8)
    painted[row, column] += 5
    uv, plate, alpha = any_uv(rng), any_colour(rng), any_alpha(rng)
    x, y = np.clip(uv[..., 0] * 8 - 0.5, 0, 7), np.clip((1 - uv[..., 1]) * 9 - 0.5, 0, 8)
    far = (np.abs(x - column) > 1.01) | (np.abs(y - row) > 1.01) | (alpha == 0)
    was = look_up(original, uv)
    edited = keep_plate(plate, alpha, any_colour(rng), paint(look_up(painted, uv), was), was)
    assert np.array_equal(edited[far], plate[far])


@given(SEEDS)
def test_where_a_layer_owns_the_pixel_lit_paint_replaces_the_plate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate, light, original = any_colour(rng), any_colour(rng), any_colour(rng)
    painted = original + 1 + original
    edited = keep_plate(plate, np.ones(SHAPE, np.float32), light, paint(painted, original), original)
    np.testing.assert_allclose(edited, light * painted, rtol=2e-4, atol=1e-4)


@given(SEEDS)
def test_at_a_mattes_edge_the_difference_is_added(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plate, light, original = any_colour(rng), any_colour(rng), any_colour(rng)
    painted, alpha = original * 2 + 1, np.full(SHAPE, OWNED_FROM, np.float32)
    edited = keep_plate(plate, alpha, light, paint(painted, original), original)
    np.testing.assert_allclose(edited, plate + OWNED_FROM * light * (painted - original), rtol=2e-4, atol=1e-4)


@given(SEEDS)
def test_saving_with_8_bits_is_no_paint(seed: int) -> None:
    from nvd_core.image.colour import display_from_linear, linear_from_display, to_uint8

    rng = np.random.default_rng(seed)
    original = rng.uniform(0, 1, (*SHAPE, 3)).astype(np.float32)
    saved = linear_from_display(to_uint8(display_from_linear(original)).astype(np.float32) / 255)
    assert changed(saved, original).max() == 0


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_owning_grows_with_alpha_from_0_to_1(a: float, b: float) -> None:
    low, high = owned(np.sort(np.float32([[a, b]]))).ravel()
    assert 0 <= low <= high <= 1
    assert owned(np.float32([[OWNED_FROM, 1]])).tolist() == [[0, 1]]


@given(SEEDS, st.integers(0, 4))
def test_visible_alphas_sum_to_one(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    coverages = [rng.choice(np.float32([0, 0.2, 0.7, 1]), SHAPE) for _ in range(count)]
    alphas = visible_alphas(coverages, SHAPE)
    assert len(alphas) == count + 1
    assert min(alpha.min() for alpha in alphas) >= 0
    np.testing.assert_allclose(np.sum(alphas, axis=0), 1, atol=1e-6)


@given(SEEDS)
def test_a_layer_behind_shows_only_what_those_before_it_leave(seed: int) -> None:
    rng = np.random.default_rng(seed)
    front, back = any_alpha(rng), any_alpha(rng)
    first, second, last = visible_alphas([front, back], SHAPE)
    assert np.array_equal(first, front)
    assert (second[front == 1] == 0).all()
    assert (last[(front == 1) | (back == 1)] == 0).all()


@given(SEEDS, st.integers(1, 4))
def test_opaque_layers_are_seen_as_in_the_shot(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    alphas = visible_alphas([any_alpha(rng) for _ in range(count)], SHAPE)
    assert np.array_equal(see_through(alphas, [1.0] * len(alphas), (*["object"] * count, "background")), alphas)


@given(SEEDS, st.floats(0, 1))
def test_what_a_layer_lets_through_shows_the_next_one_behind(seed: int, opacity: float) -> None:
    rng = np.random.default_rng(seed)
    back, front = any_alpha(rng), rng.choice(np.float32([0, 0.3, 0.95]), SHAPE)
    alphas = visible_alphas([front, back], SHAPE)
    seen = see_through(alphas, [opacity, 1.0, 1.0], KINDS)
    over = front * np.float32(opacity)
    expected = [over, back_over := (1 - over) * alphas[1] / (1 - front), 1 - over - back_over]
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    assert see_through(alphas, [1.0, 1.0, 0.0], KINDS)[2].max() == 0


@given(SEEDS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 4))
def test_a_look_fades_and_relights_the_paint_alone(seed: int, opacity: float, light: float, gain: float) -> None:
    rng = np.random.default_rng(seed)
    plate, residual, original = any_colour(rng), any_colour(rng), any_colour(rng)
    one, look = np.ones(SHAPE, np.float32), Look(opacity, light, gain)
    assert np.array_equal(keep_plate(plate, one, residual, paint(original, original), original, look), plate)
    painted = original + 1 + original
    lit = gain * (1 + light * (residual - 1)) * painted
    edited = keep_plate(plate, one, residual, paint(painted, original), original, look)
    np.testing.assert_allclose(edited, plate + opacity * (lit - plate), rtol=1e-3, atol=1e-3)


@given(SEEDS)
def test_rebuilding_with_one_opaque_unlit_layer_is_looking_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    surface = look_up(any_colour(rng, 9, 8), any_uv(rng))
    one = np.ones(SHAPE, np.float32)
    assert np.array_equal(rebuild([(one, np.dstack([one] * 3), surface)]), surface)


@given(SEEDS)
def test_looking_up_is_bilinear(seed: int) -> None:
    """Against the textbook's four weights."""
    rng = np.random.default_rng(seed)
    atlas, uv = any_colour(rng, 9, 8), any_uv(rng)
    x, y = np.clip(uv[..., 0] * 8 - 0.5, 0, 7), np.clip((1 - uv[..., 1]) * 9 - 0.5, 0, 8)
    left, top = np.minimum(x.astype(int), 6), np.minimum(y.astype(int), 7)
    across, down = (x - left)[..., None], (y - top)[..., None]
    above = atlas[top, left] * (1 - across) + atlas[top, left + 1] * across
    below = atlas[top + 1, left] * (1 - across) + atlas[top + 1, left + 1] * across
    np.testing.assert_allclose(look_up(atlas, uv), above * (1 - down) + below * down, atol=1e-5 * atlas.max())


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 40)])
def test_looking_up_texel_centres_gives_the_texels(size: tuple[int, int]) -> None:
    rows, columns = size
    atlas = any_colour(np.random.default_rng(0), rows, columns)
    y, x = np.mgrid[:rows, :columns]
    uv = np.stack([u_from_x(x, columns), v_from_y(y, rows)], axis=-1).astype(np.float32)
    np.testing.assert_allclose(look_up(atlas, uv), atlas, atol=1e-5)
