"""Pictures on disk: what was put there comes back, in any choice, and no file is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from nvd_core.runtime.picture_store import Halved, Pictures
from nvd_core.spec.errors import InputError


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Pictures, np.ndarray]:
    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 256, (7, 5, 9, 3), np.uint8)
    pictures = Pictures.on_disk(tmp_path, wanted.shape[1:])
    for one in wanted:
        pictures.append(one[::-1][::-1])
    return pictures, wanted


def test_pictures_come_back(kept: tuple[Pictures, np.ndarray]) -> None:
    pictures, wanted = kept
    assert (len(pictures), pictures.shape) == (7, wanted.shape)
    np.testing.assert_array_equal(np.asarray(pictures), wanted)
    np.testing.assert_array_equal(pictures[-1], wanted[-1])
    with pytest.raises(IndexError):
        pictures[7]


def test_a_choice_of_a_choice(kept: tuple[Pictures, np.ndarray]) -> None:
    pictures, wanted = kept
    np.testing.assert_array_equal(np.asarray(pictures[range(0, 7, 2)][[3, 1]]), wanted[[6, 2]])


def test_a_picture_is_a_copy(kept: tuple[Pictures, np.ndarray]) -> None:
    pictures, wanted = kept
    pictures[2][:] = 0
    np.testing.assert_array_equal(pictures[2], wanted[2])


def test_pictures_at_half_their_size_are_means_of_four(kept: tuple[Pictures, np.ndarray]) -> None:
    pictures, wanted = kept
    even = wanted[:, :4, :8].astype(float)
    means = np.mean([even[:, y::2, x::2] for y in (0, 1) for x in (0, 1)], axis=0)
    for source in (Halved(wanted[:, :4, :8]), Halved(wanted[:, :4, :8])[range(7)]):
        assert (len(source), source.shape) == (7, means.shape)
        np.testing.assert_allclose(np.stack(list(source)), means, atol=0.51)
    assert Halved(pictures).shape == (7, 2, 4, 3)
    np.testing.assert_array_equal(Halved(pictures)[[3, 1]][1], Halved(pictures)[1])


def test_many_read_at_once(kept: tuple[Pictures, np.ndarray]) -> None:
    pictures, wanted = kept
    order = list(range(7)) * 200
    with ThreadPoolExecutor(8) as pool:
        for t, one in zip(order, pool.map(pictures.__getitem__, order), strict=True):
            np.testing.assert_array_equal(one, wanted[t])


def test_no_file_is_seen(kept: tuple[Pictures, np.ndarray], tmp_path: Path) -> None:
    assert not list(tmp_path.iterdir())


def test_a_file_that_ends_early_is_told(kept: tuple[Pictures, np.ndarray], tmp_path: Path) -> None:
    pictures, wanted = kept
    pictures._file._file.truncate(wanted.nbytes - 1)
    np.testing.assert_array_equal(pictures[5], wanted[5])
    with pytest.raises(InputError, match="cannot be read again") as caught:
        pictures[6]
    assert caught.value.where == str(tmp_path)
