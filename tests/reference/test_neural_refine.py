"""Refining the lattice: it draws what the lattice draws, finds back what was moved away, and can be interrupted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import stop

from nvd_core.runtime.progress import SILENT, Progress

torch = pytest.importorskip("torch", reason="the neural solver needs torch")

from nvd_core.clip import frames_used, open_clip  # noqa: E402
from nvd_core.faces.demo_clip import DemoClip  # noqa: E402
from nvd_core.image import colour  # noqa: E402
from nvd_core.lattice.layer import Box, LayerView  # noqa: E402
from nvd_core.lattice.picture import photometry  # noqa: E402
from nvd_core.lattice.picture.average import layer_picture  # noqa: E402
from nvd_core.lattice.picture.canvas import Canvas  # noqa: E402
from nvd_core.lattice.register.spline import Lattice, LayerMap  # noqa: E402
from nvd_core.masks import open_mattes  # noqa: E402
from nvd_core.refine import light, losses, training  # noqa: E402
from nvd_core.refine.level import Level, Patch  # noqa: E402
from nvd_core.refine.surface import Surface  # noqa: E402
from nvd_core.refine.training import Refinement, Start  # noqa: E402
from nvd_core.runtime import training_loop  # noqa: E402
from nvd_core.runtime.checkpoints import Arrays, Checkpoints  # noqa: E402
from nvd_core.shot import Shot, prepare  # noqa: E402
from nvd_core.spec.choices.amounts import FrameRange  # noqa: E402
from nvd_core.spec.conventions import Size, rescale_px  # noqa: E402
from nvd_core.spec.errors import NumericsError  # noqa: E402

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
BLANK = photometry.Picture(
    np.zeros((4, 4, 3), np.float32), np.ones((4, 4), np.float32), Canvas((0.0, 0.0), 1.0, Size(4, 4))
)


@pytest.fixture(scope="module")
def shot(demo: DemoClip) -> Shot:
    """Four frames of one layer."""
    clip = open_clip(demo.frames)
    still = prepare(clip, open_mattes([], clip.info), frames_used(FrameRange(1, 4), clip.info), 112)
    return replace(still, frames=np.stack([texture(still.size)] * 4))


def texture(size: Size) -> np.ndarray:
    """Something with detail everywhere, as large as two pixels and as twenty."""
    noise = [cv2.GaussianBlur(RNG.random((size.height, size.width, 3), np.float32), (0, 0), s) for s in (1.5, 4, 10)]
    return colour.to_uint8(sum((one - one.mean()) / one.std() for one in noise) * 0.08 + 0.5)


def flat_map(shot: Shot, nodes: np.ndarray | float = 0.0) -> LayerMap:
    lattice = Lattice(shot.size, (shot.size.width - 1) / 48)
    shape = (len(shot.frames), lattice.rows, lattice.columns, 2)
    return LayerMap(0, lattice, np.broadcast_to(np.float32(nodes), shape).copy())


def wobbly(shot: Shot, size_px: float) -> LayerMap:
    """A map that is off by a smooth field of another shape in every frame."""
    mapping = flat_map(shot)
    noise = RNG.standard_normal(mapping.nodes.shape).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in noise])
    return LayerMap(0, mapping.lattice, (smooth / smooth.std() * size_px).astype(np.float32))


def started(shot: Shot, mapping: LayerMap) -> Start:
    """The true picture behind a map that may be wrong; no flow."""
    picture = layer_picture(LayerView(shot.frames, shot.alphas[0]), flat_map(shot), density=2.0)
    return Start([mapping], [picture], [[None] * (len(shot.frames) - 1)])


def disturb(surface: Surface) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in surface.parameters():
            one.normal_(0, 0.3, generator=generator)


def whole(shot: Shot) -> Box:
    return Box(0, 0, *shot.size)


@pytest.mark.parametrize("shrink", [1, 2])
def test_a_surface_lies_where_its_map_says(shot: Shot, shrink: int) -> None:
    mapping = wobbly(shot, 2.0)
    surface = Surface(mapping, BLANK)
    disturb(surface)
    for t in range(2):
        level = Level(shot, mapping.lattice, shrink, CPU)
        found = surface.reference_px(t, level.patch(0, t, whole(shot))).detach().numpy()
        small = Size(shot.size.width // shrink, shot.size.height // shrink)
        np.testing.assert_allclose(found, surface.map().positions(t, small).transpose(2, 0, 1), atol=2e-3)


def test_moves_at_points_are_those_of_the_map(shot: Shot) -> None:
    mapping = flat_map(shot)
    surface = Surface(mapping, BLANK)
    disturb(surface)
    nodes = torch.tensor([[3, 4], [7, 2]])
    found = surface.moved_at(1, nodes * surface.cell_px)
    expected = surface.moves(1)[:, nodes[:, 1], nodes[:, 0]].T * surface.cell_px
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_picture_is_looked_up_where_it_lies(shot: Shot) -> None:
    ramp = np.stack(np.broadcast_arrays(np.linspace(0.1, 0.9, 61), np.linspace(0.2, 0.6, 39)[:, None], 0.5), -1)
    canvas = Canvas((-3.0, 5.0), 2.0, Size(61, 39))
    linear = colour.linear_from_display(ramp.astype(np.float32))
    surface = Surface(flat_map(shot), photometry.Picture(linear, np.ones((39, 61), np.float32), canvas))
    points = RNG.uniform((0, 8), (20, 18), (30, 1, 2)).astype(np.float32)
    texels = canvas.texels(points)
    expected = cv2.remap(ramp.astype(np.float32), texels[..., 0], texels[..., 1], cv2.INTER_LINEAR)
    for shrink in (1, 2):
        found = surface.look_up(torch.from_numpy(points).permute(2, 0, 1), shrink)
        np.testing.assert_allclose(found.permute(1, 2, 0), expected, atol=2e-3)


def test_light_and_colour_are_the_lattices() -> None:
    plate, surface = RNG.uniform(0.01, 0.9, (2, 60, 80, 3)).astype(np.float32)
    plate, surface = (cv2.GaussianBlur(one, (0, 0), 4) for one in (plate, surface))
    valid = cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), 22, 1, -1) > 0
    expected = photometry.light_ratio(plate, surface, valid, 3.0)
    tensors = [torch.from_numpy(one).permute(2, 0, 1) for one in (plate, surface)]
    found = light.light_ratio(*tensors, torch.from_numpy(valid).float(), 3.0).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found[valid], expected[valid], rtol=0.01)
    codes = torch.linspace(0, 1.5, 200).expand(3, 1, 200)
    linear = light.linear_from_display(codes)
    np.testing.assert_allclose(linear, colour.linear_from_display(codes.numpy()), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(light.display_from_linear(linear), codes, rtol=1e-4, atol=1e-5)


def test_losses_have_the_gradients_they_say() -> None:
    generator = torch.Generator().manual_seed(0)

    def some(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    plate, weight = some(3, 5, 6).detach(), some(5, 6).detach()
    axes = [torch.zeros(1)] * 4
    patch = Patch(plate, weight, *axes)
    assert torch.autograd.gradcheck(lambda drawn: losses.photometric(drawn, patch, 4.0), [some(3, 5, 6)])
    assert torch.autograd.gradcheck(losses.bending, [some(2, 5, 4)])
    assert torch.autograd.gradcheck(lambda missed: losses.steadiness(missed, 8.0), [some(7, 2)])


def test_losses_are_nothing_where_nothing_is_amiss() -> None:
    plate = torch.rand(3, 6, 7, generator=torch.Generator().manual_seed(0))
    patch = Patch(plate, torch.ones(6, 7), *[torch.zeros(1)] * 4)
    assert losses.photometric(plate, patch, 4.0) == pytest.approx(0, abs=1e-6)
    assert losses.photometric(plate + 0.1, patch, 4.0) > 0.01
    straight = torch.stack(torch.meshgrid(torch.arange(5.0), torch.arange(4.0), indexing="ij"))
    assert losses.bending(straight) == pytest.approx(0)
    assert losses.bending(straight**2) > 1
    assert losses.steadiness(torch.zeros(3, 2), 8.0) == pytest.approx(0)
    assert losses.steadiness(torch.ones(3, 2), 8.0) > 0.1


def test_refining_finds_back_what_was_moved_away(shot: Shot) -> None:
    wrong = wobbly(shot, 0.8)
    refinement = Refinement(shot, started(shot, wrong), seed=0, device=CPU)
    limits = training_loop.Limits(40 * len(shot.frames))
    before = refinement.psnr()
    while refinement.share(limits) < 1:
        refinement.advance(limits)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    off_px = [np.median(np.linalg.norm(one.nodes[inner], axis=-1)) for one in (wrong, refinement.surfaces[0].map())]
    assert off_px[1] < 0.5 * off_px[0]
    assert refinement.psnr() > before + 3


def test_flow_keeps_points_where_it_sees_them(shot: Shot) -> None:
    """With nothing to see in the frames, flow alone decides."""
    blank = Shot(shot.clip, shot.mattes, shot.numbers, np.full_like(shot.frames, 128), shot.alphas, shot.sha256)
    mapping = flat_map(blank)
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(blank.size)
    way = losses.Way(points, points, torch.full((200, 2), 0.1))
    start = Start([mapping], started(blank, mapping).pictures, [[way] * 3])
    refinement = Refinement(blank, start, seed=0, device=CPU)
    limits = training_loop.Limits(160)
    while refinement.share(limits) < 1:
        refinement.advance(limits)
    surface = refinement.surfaces[0]
    missed = [way.missed_px + surface.moved_at(t + 1, points) - surface.moved_at(t, points) for t in range(3)]
    assert max(float(one.norm(dim=1).median().detach()) for one in missed) < 0.07


@pytest.mark.parametrize("interrupted_after", [1, 5, 11])
def test_an_interrupted_refining_ends_in_the_same_bits(
    interrupted_after: int, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(refinement: Refinement, folder: Path, progress: Progress = SILENT) -> None:
        kept, limits = Checkpoints.open(folder, "job", resume=True), training_loop.Limits(12)
        training_loop.train(refinement, limits, kept, progress, name="refining", show=lambda: None)

    start = started(shot, wobbly(shot, 0.5))
    fresh = lambda: Refinement(shot, start, seed=3, device=CPU)  # noqa: E731
    undisturbed = fresh()
    train(undisturbed, tmp_path / "a")
    monkeypatch.setattr(training_loop, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(training_loop, "_TELL_EVERY_S", 0.0)
    begun = fresh()
    stop(lambda tell: train(begun, tmp_path / "b", Progress(tell)), lambda _: begun.steps >= interrupted_after)
    resumed = fresh()
    train(resumed, tmp_path / "b")
    assert resumed.steps == 12
    assert differing(resumed.arrays(), undisturbed.arrays()) == []


def differing(a: Arrays, b: Arrays) -> list[str]:
    return [name for name in a | b if name != "cpu_seconds" and not np.array_equal(a[name], b[name])]


def test_a_loss_that_is_no_number_is_named_and_nothing_is_spoilt(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    refinement = Refinement(shot, started(shot, flat_map(shot)), seed=0, device=CPU)
    refinement.advance(training_loop.Limits(10))
    before = {name: array.copy() for name, array in refinement.arrays().items()}
    monkeypatch.setattr(training, "bending", lambda moves: moves.sum() * float("nan"))
    with pytest.raises(NumericsError, match="bending"):
        refinement.advance(training_loop.Limits(10))
    assert differing(refinement.arrays(), before) == []


def test_half_size_is_the_same_place(shot: Shot) -> None:
    level = Level(shot, flat_map(shot).lattice, 2, CPU)
    patch = level.patch(0, 0, Box(20, 30, 60, 70))
    assert patch.plate.shape[1:] == (20, 20)
    assert patch.x_px[0] == pytest.approx(rescale_px(10, shot.size.width // 2, shot.size.width))
    np.testing.assert_allclose(patch.across.sum(1), 1, atol=1e-5)
