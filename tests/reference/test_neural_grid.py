"""The hash grid against a slow one, written from the papers with numpy and unsigned integers."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the neural solver needs torch")

from nvd_core.hashing_nvd.encodings import GRIDS, choose_backend  # noqa: E402
from nvd_core.hashing_nvd.encodings.spec import GridSpec  # noqa: E402
from nvd_core.hashing_nvd.encodings.torch_grid import TorchGrid  # noqa: E402

SPEC = GridSpec()


class SlowGrid:
    """One point, one level, one corner at a time."""

    def __init__(self, table: np.ndarray, axes: int) -> None:
        self.table, self.axes = table, axes
        self.offsets, self.sides, self.scales = [0], [], []
        for level in range(16):
            scale = 16 * 1.25**level - 1
            side = math.ceil(scale) + 1
            entries = min((side**axes + 7) // 8 * 8, 2**15)
            self.scales.append(scale)
            self.sides.append(side)
            self.offsets.append(self.offsets[-1] + entries)

    def entry(self, level: int, corner: tuple[int, ...]) -> int:
        size = self.offsets[level + 1] - self.offsets[level]
        index, stride = np.uint32(0), 1
        if self.sides[level] ** self.axes <= size:
            for axis in range(self.axes):
                index += np.uint32(corner[axis] * stride)
                stride *= self.sides[level]
        else:
            for axis, prime in zip(range(self.axes), (1, 2654435761, 805459861), strict=False):
                index ^= np.uint32(corner[axis] * prime % 2**32)
        return self.offsets[level] + int(index) % size

    def corners(self, point: np.ndarray, level: int):
        """Entry, weight, and the weight's derivative by the point, for each corner."""
        position = (point / 2 + 0.5) * self.scales[level] + 0.5
        cell = np.floor(position).astype(int)
        for number in range(2**self.axes):
            bits = [number >> axis & 1 for axis in range(self.axes)]
            factors = [
                position[axis] - cell[axis] if bit else 1 - position[axis] + cell[axis] for axis, bit in enumerate(bits)
            ]
            slopes = [
                (1 if bits[axis] else -1) * math.prod(factors[:axis] + factors[axis + 1 :]) * self.scales[level] / 2
                for axis in range(self.axes)
            ]
            yield self.entry(level, tuple(cell + bits)), math.prod(factors), np.array(slopes)

    def encode(self, points: np.ndarray) -> np.ndarray:
        return np.array(
            [
                [
                    sum(weight * self.table[feature, entry] for entry, weight, _ in self.corners(point, level))
                    for level in range(16)
                    for feature in range(2)
                ]
                for point in points
            ]
        )

    def gradients(self, points: np.ndarray, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the sum of features x upstream by table and points."""
        by_table, by_points = np.zeros_like(self.table), np.zeros_like(points)
        for number, point in enumerate(points):
            for level in range(16):
                for entry, weight, slope in self.corners(point, level):
                    for feature in range(2):
                        share = upstream[number, 2 * level + feature]
                        by_table[feature, entry] += share * weight
                        by_points[number] += share * self.table[feature, entry] * slope
        return by_table, by_points


@pytest.mark.parametrize("axes", [2, 3])
def test_values_and_gradients_are_those_of_the_slow_grid(axes: int) -> None:
    generator = torch.Generator().manual_seed(3)
    grid = TorchGrid(axes, SPEC, generator).double()
    inner = torch.rand(20, axes, generator=generator, dtype=torch.float64) * 2 - 1
    ends = torch.tensor([[-1.0] * axes, [1.0] * axes], dtype=torch.float64)
    points = torch.cat([inner, ends]).requires_grad_()
    upstream = torch.randn(len(points), SPEC.outputs, generator=generator, dtype=torch.float64)
    slow = SlowGrid(grid.table.detach().numpy(), axes)
    features = grid(points)
    (features * upstream).sum().backward()
    by_table, by_points = slow.gradients(points.detach().numpy(), upstream.numpy())
    # Scales are single precision in the one, double in the other.
    np.testing.assert_allclose(features.detach().numpy(), slow.encode(points.detach().numpy()), rtol=0, atol=1e-9)
    np.testing.assert_allclose(grid.table.grad.numpy(), by_table, rtol=0, atol=1e-4)
    np.testing.assert_allclose(points.grad.numpy()[:20], by_points[:20], rtol=1e-4, atol=1e-6)


def test_coarse_levels_are_dense_and_fine_ones_hashed() -> None:
    assert [level.is_dense for level in SPEC.level_list(2)] == [True] * 11 + [False] * 5
    assert [level.is_dense for level in SPEC.level_list(3)] == [True] * 4 + [False] * 12
    assert [level.side for level in SPEC.level_list(3)][:4] == [16, 20, 25, 32]
    assert all(level.size == 2**15 for level in SPEC.level_list(2)[11:])


def test_entries_start_small_and_by_the_seed() -> None:
    tables = [TorchGrid(2, SPEC, torch.Generator().manual_seed(seed)).table.detach() for seed in (1, 1, 2)]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])
    assert 0.99e-4 < float(tables[0].abs().max()) <= 1e-4


def test_without_a_gpu_torch_computes_it() -> None:
    assert choose_backend(torch.device("cpu")) == "torch"


@pytest.mark.skipif(
    not (find_spec("tinycudann") and torch.cuda.is_available()), reason="tinycudann or an NVIDIA GPU is not there"
)
@pytest.mark.parametrize("axes", [2, 3])
def test_tiny_cuda_nn_computes_the_same(axes: int) -> None:
    ours, theirs = (make(axes, SPEC, torch.Generator().manual_seed(0)).cuda() for make in GRIDS.values())
    theirs.set_table(ours.table)
    points = torch.rand(1000, axes, device="cuda") * 2 - 1
    a, b = points.clone().requires_grad_(), points.clone().requires_grad_()
    ours(a).sum().backward()
    theirs(b).sum().backward()
    torch.testing.assert_close(ours(points), theirs(points), rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5)
