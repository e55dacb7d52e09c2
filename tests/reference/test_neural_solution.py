"""What the networks have learnt, handed over: atlas, coordinates, shares and light say what the networks say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the neural solver needs torch")

from nvd_core.hashing_nvd.canvas import SIDE_LIMIT, Canvas, sample_atlas  # noqa: E402
from nvd_core.hashing_nvd.fields import Networks  # noqa: E402
from nvd_core.hashing_nvd.footage import Footage  # noqa: E402
from nvd_core.hashing_nvd.recipe import Recipe  # noqa: E402
from nvd_core.hashing_nvd.solution import NeuralSolution, SolvedLayer  # noqa: E402
from nvd_core.image.colour import display_from_linear, linear_from_display  # noqa: E402
from nvd_core.shot.compositing import look_up, rebuild  # noqa: E402
from nvd_core.shot.solution import Solution  # noqa: E402
from nvd_core.spec.conventions import Size  # noqa: E402

LAYERS, COUNT, WIDTH, HEIGHT = 3, 5, 36, 20
DENSITY = 6.0
"""Texels a pixel: enough for bilinear look-ups to be nearly exact."""


@pytest.fixture(scope="module")
def networks() -> Networks:
    """Not trained, but smooth and far from constant."""
    networks = Networks(LAYERS, Recipe(), "torch", torch.Generator().manual_seed(1))
    with torch.no_grad():
        for net in (*networks.textures, *networks.residuals, networks.opacity):
            table = net[0].table
            table.zero_()
            coarsest = slice(0, 16**2 if net in list(networks.textures) else 16**3)
            table[:, coarsest] = torch.randn(table[:, coarsest].shape, generator=torch.Generator().manual_seed(2))
    return networks


@pytest.fixture(scope="module")
def footage() -> Footage:
    shape = (COUNT, HEIGHT, WIDTH)
    frames, masks = torch.zeros(*shape, 3, dtype=torch.uint8), torch.zeros(LAYERS, *shape, dtype=torch.uint8)
    return Footage(frames, masks, torch.zeros(2, *shape, 2), torch.ones(2, *shape, dtype=torch.bool))


@pytest.fixture(scope="module")
def solution(networks: Networks, footage: Footage) -> NeuralSolution:
    grid = torch.stack(torch.meshgrid(*(torch.arange(n) for n in (WIDTH, HEIGHT, COUNT)), indexing="ij"), -1)
    with torch.no_grad():
        uv = networks.uv(footage.unit(grid.flatten(0, 2))).numpy()
    solved = []
    for layer, seen in enumerate(uv):
        extent = float(np.ptp(seen, axis=0).max())
        canvas = Canvas.around(seen, WIDTH / extent, DENSITY)
        covered = canvas.covered(seen, DENSITY)
        solved.append(
            SolvedLayer(f"layer{layer}", canvas, sample_atlas(networks, layer, canvas, covered).astype(np.float16))
        )
    return NeuralSolution(tuple(solved), networks, footage.extent, (), "torch", range(101, 101 + COUNT), {})


def test_it_is_a_solution(solution: NeuralSolution) -> None:
    assert isinstance(solution, Solution)
    assert solution.layers == ("layer0", "layer1", "layer2")
    assert {name.split(".")[0] for name in solution.arrays()} == {"networks", "layer0", "layer1", "layer2"}


@pytest.mark.parametrize("size", [Size(WIDTH, HEIGHT), Size(2 * WIDTH, 2 * HEIGHT), Size(54, 30)])
def test_what_is_looked_up_in_the_atlas_is_what_the_texture_says(
    size: Size, solution: NeuralSolution, networks: Networks, footage: Footage
) -> None:
    plate = np.zeros((size.height, size.width, 3), np.uint8)
    layers = solution.frame(103, plate, ())
    x, y = np.meshgrid(np.arange(size.width), np.arange(size.height))
    points = np.stack([(x + 0.5) * WIDTH / size.width - 0.5, (y + 0.5) * HEIGHT / size.height - 0.5, x * 0 + 2], -1)
    with torch.no_grad():
        sample = networks.sample(footage.unit(torch.from_numpy(points.reshape(-1, 3)).float()))
    for index, layer in enumerate(layers):
        looked_up = look_up(solution.colour(solution.layers[index]), layer.uv_atlas)
        said = sample.colour[index].numpy().reshape(looked_up.shape)
        # A half percent of the points may lie outside the atlas on each side, where its edge goes on.
        assert np.quantile(np.abs(display_from_linear(looked_up) - said), 0.95) < 0.01
        np.testing.assert_allclose(layer.alpha.ravel(), sample.alpha[index].numpy(), atol=1e-5)
    np.testing.assert_allclose(sum(layer.alpha for layer in layers), 1, atol=1e-6)


def test_a_frame_that_one_layer_fills_is_rebuilt_as_the_networks_do(
    solution: NeuralSolution, networks: Networks, footage: Footage
) -> None:
    """Where layers mix, the networks do so in display-encoded colour, and a frame file in linear light."""
    layers = solution.frame(101, np.zeros((HEIGHT, WIDTH, 3), np.uint8), ())
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    with torch.no_grad():
        sample = networks.sample(footage.unit(torch.stack([x, y, x * 0], -1).flatten(0, 1)))
    for index, layer in enumerate(layers):
        colour = sample.colour[index].numpy().reshape(HEIGHT, WIDTH, 3)
        lit = rebuild([(np.ones_like(layer.alpha), layer.residual, linear_from_display(colour))])
        expected = (sample.colour * sample.residual)[index].numpy().reshape(HEIGHT, WIDTH, 3)
        np.testing.assert_allclose(display_from_linear(lit), expected, atol=1e-3)


def test_v_is_up_in_the_atlas_and_down_in_the_plane() -> None:
    canvas = Canvas((-0.5, -0.25), 100, Size(100, 50))
    corners = canvas.uv_atlas(np.array([[-0.5, -0.25], [0.5, 0.25]], np.float32))
    np.testing.assert_allclose(corners, [[0, 1], [1, 0]], atol=1e-6)
    np.testing.assert_allclose(canvas.texels(canvas.centres()[:2]), [[0, 0], [1, 0]], atol=1e-4)


def test_an_atlas_is_no_larger_than_can_be_painted() -> None:
    canvas = Canvas.around(np.array([[-1, -1], [1, 0]], np.float32), px_per_uv=5000, texels_per_px=2)
    assert max(canvas.size) == SIDE_LIMIT
    assert canvas.size.width == pytest.approx(2 * canvas.size.height, rel=0.01)


def test_colour_goes_on_where_the_clip_shows_nothing(networks: Networks) -> None:
    canvas = Canvas((-0.5, -0.5), 40, Size(40, 40))
    covered = cv2.circle(np.zeros((40, 40), np.uint8), (20, 20), 10, 1, -1) > 0
    atlas = sample_atlas(networks, 0, canvas, covered)
    assert np.array_equal(atlas[..., 3] > 0, covered)
    np.testing.assert_array_equal(atlas[20, :10, :3], np.broadcast_to(atlas[20, 10, :3], (10, 3)))
