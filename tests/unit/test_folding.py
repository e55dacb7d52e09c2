"""Layers that fold: matched anew by fine flow, and through their map, on cloth of which it is known how it waves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import texture

from nvd_core.image.geometry import pixel_grid
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.register.folding import matches_through, roomiest_frame, solve_folding
from nvd_core.lattice.register.mapping import FLEXIBLE, lattice_of, solve_mapping, starting_map
from nvd_core.lattice.register.matches import Matches, Registrar
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.progress import SILENT
from nvd_core.spec.conventions import Size

SIZE = Size(160, 112)
COUNT = 9
CLOTH = (slice(12, -12), slice(16, -16))


def _place(t: int) -> np.ndarray:
    """The point of the cloth that each pixel of frame t shows, px: a wave that travels and grows."""
    at = pixel_grid(SIZE)
    wave = np.sin(at[..., 0] / 7 - 0.9 * t) * 0.35 * t
    return np.stack([at[..., 0] + wave, at[..., 1] + np.cos(at[..., 0] / 9 - 0.7 * t) * 0.5 * t], axis=-1)


@pytest.fixture(scope="module")
def cloth() -> LayerView:
    wide = texture(Size(SIZE.width + 40, SIZE.height + 40))
    frames = np.stack([warp(wide, (_place(t) + 20).astype(np.float32), cubic=True) for t in range(COUNT)])
    alpha = np.zeros(frames.shape[:3], np.uint8)
    alpha[(slice(None), *CLOTH)] = 255
    return LayerView(frames, alpha)


def _off_px(found: Matches) -> np.ndarray:
    """How far both ends of each match are apart on the cloth."""
    here, there = (
        warp(_place(t).astype(np.float32), points[None])[0]
        for t, points in ((found.frame_a, found.points_a), (found.frame_b, found.points_b))
    )
    return np.linalg.norm(here - there, axis=1)


def _wrong_px(mapping: LayerMap) -> float:
    """Mean distance of the cloth's points from their places."""
    return float(
        np.mean(
            [
                np.linalg.norm(mapping.positions(t) - _place(t), axis=-1)[CLOTH].mean()
                for t in range(1, mapping.nodes.shape[0])
            ]
        )
    )


def test_fine_flow_finds_more_of_what_waves(cloth: LayerView) -> None:
    usual = Registrar(cloth, (1,))
    found = [one.between(6, 7, [np.eye(3)], 2.0) for one in (usual, replace(usual, is_fine=True))]
    right = [np.count_nonzero(_off_px(one) < 0.3) / len(one.points_a) for one in found]
    assert right[1] > 3 * right[0]
    assert right[1] > 0.75


def test_frames_far_apart_are_matched_through_a_map(cloth: LayerView) -> None:
    lattice = lattice_of(cloth, FLEXIBLE)
    places = lattice.positions()
    exact = np.stack([warp(_place(t).astype(np.float32), places) - places for t in range(COUNT)])
    rough = LayerMap(
        0, lattice, exact + np.float32([1.5, -1]) * np.arange(COUNT, dtype=np.float32)[:, None, None, None] / 8
    )
    (found,) = matches_through(Registrar(cloth, (8,), is_fine=True), rough, [(0, 8)])
    assert len(found.points_a) > 500
    assert np.median(_off_px(found)) < 0.15


def test_a_layer_that_bends_is_solved_nearer_to_the_truth(cloth: LayerView) -> None:
    registrar, still = Registrar(cloth, (1, 2, 4, 8)), [np.eye(3)] * COUNT
    begin = starting_map(lattice_of(cloth, FLEXIBLE), cloth, 0, tuple(still))
    usual = solve_mapping(cloth, begin, list(registrar.matches([still], registrar.pairs)), FLEXIBLE, [0])
    anew, matches = solve_folding(registrar, [still], registrar.pairs, begin, FLEXIBLE, [0], SILENT)
    assert {one.frame_b - one.frame_a for one in matches} >= {1, 2, 4}
    assert _wrong_px(anew) < 0.7 * _wrong_px(usual)
    assert _wrong_px(anew) < 0.3


def test_a_layer_that_folds_gets_a_frame_with_room(cloth: LayerView) -> None:
    """In the first frame, three quarters of the surface lie in one of the picture; all others show it evenly."""
    lattice = lattice_of(cloth, FLEXIBLE)
    even = LayerMap(0, lattice, np.zeros((COUNT, lattice.rows, lattice.columns, 2), np.float32))
    assert roomiest_frame(cloth, even) is None

    pressed, across = even.nodes.copy(), lattice.positions()[..., 0]
    pressed[0, ..., 0] = np.interp(across, (16, 112, 144), (16, 48, 144)) - across
    assert roomiest_frame(cloth, LayerMap(0, lattice, pressed)) in range(1, COUNT)
    assert roomiest_frame(cloth, LayerMap(1, lattice, pressed)) is None


def test_a_small_object_that_moves_or_comes_nearer_does_not_fold() -> None:
    places = pixel_grid(SIZE)
    alpha = np.zeros((COUNT, SIZE.height, SIZE.width), np.uint8)
    nodes = []
    for t in range(COUNT):
        zoom, shift = 1 + 0.12 * t, 0.3 * t
        alpha[t][(np.abs(places - (60 + shift, 50)) < 15 * zoom).all(axis=-1)] = 255
        nodes.append(lambda at, zoom=zoom, shift=shift: (at - (60 + shift, 50)) / zoom + (60, 50) - at)
    layer = LayerView(np.zeros((*alpha.shape, 3), np.uint8), alpha)
    lattice = lattice_of(layer, FLEXIBLE)
    moved = np.stack([one(lattice.positions()) for one in nodes]).astype(np.float32)
    for t in range(COUNT):
        assert roomiest_frame(layer, LayerMap(t, lattice, moved)) is None
