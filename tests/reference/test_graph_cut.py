"""The graph cut against all 512 masks of a picture of three by three pixels."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nvd_core.image.filters import blur
from nvd_core.roto.graph_cut import cut


@pytest.mark.parametrize("seed", range(12))
def test_no_mask_costs_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 2, (3, 3)).astype(np.float32)
    picture = rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    costs = {bits: _cost(np.reshape(bits, (3, 3)), score, picture, 1.5) for bits in product((False, True), repeat=9)}
    found = tuple(cut(score, picture, 1.5).ravel().tolist())
    assert costs[found] == pytest.approx(min(costs.values()), abs=1e-3)
    assert len({round(cost, 3) for cost in costs.values()}) > 100


def test_the_outline_follows_the_pictures_edge_rather_than_noise() -> None:
    rng = np.random.default_rng(0)
    picture = np.zeros((20, 20, 3), np.uint8)
    picture[:, 8:] = 200
    score = np.where(np.arange(20) >= 8, 1, -1) + rng.normal(0, 1.2, (20, 20))
    assert np.array_equal(cut(score.astype(np.float32), picture), np.tile(np.arange(20) >= 8, (20, 1)))


def _cost(mask: np.ndarray, score: np.ndarray, picture: np.ndarray, stiffness: float) -> float:
    """Log odds of the pixels on the wrong side, plus the length of the outline, cheaper along edges."""
    smooth = blur(picture.astype(np.float32), 0.7).astype(np.float64)
    typical = 2 * np.mean([_squared(smooth[y, x], smooth[y, x + 1]) for y in range(3) for x in range(2)])
    cost = np.maximum(score, 0)[~mask].sum() + np.maximum(-score, 0)[mask].sum()
    for y, x in np.ndindex(3, 3):
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
            there = y + down, x + across
            if there[0] < 3 and 0 <= there[1] < 3 and mask[y, x] != mask[there]:
                link = 0.95 * np.exp(-_squared(smooth[y, x], smooth[there]) / typical) + 0.05
                cost += stiffness * link / np.hypot(down, across)
    return float(cost)


def _squared(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a - b) ** 2).sum())
