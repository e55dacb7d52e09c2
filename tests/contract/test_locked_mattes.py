"""A locked matte is the layer's alpha, to a half float's precision, whatever a solver learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import disc, nvd, solve, tree, write_masks

from nvd_core.faces.demo_clip import OBJECT, DemoClip
from nvd_core.job_files import read_job
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.settings import Job, MaskSource, Settings

SIZE = Size(200, 112)
FRAMES = "1-4"


def soft_disc(centre: tuple[int, int]) -> np.ndarray:
    return cv2.GaussianBlur(disc(centre, 24, SIZE), (0, 0), 4)


@pytest.fixture
def mattes() -> dict[str, list[np.ndarray]]:
    """Two soft objects, the first of which hides part of the second."""
    return {name: [soft_disc((x + 3 * t, 50)) for t in range(4)] for name, x in (("front", 60), ("behind", 95))}


def sources(mattes: dict[str, list[np.ndarray]], folder: Path, *locked: str) -> tuple[MaskSource, ...]:
    paths = {name: write_masks(folder / name, pictures) for name, pictures in mattes.items()}
    return tuple(MaskSource.of(name=name, path=str(path), locked=name in locked) for name, path in paths.items())


def alphas(folder: Path) -> list[dict[str, np.ndarray]]:
    return [
        {name: layer.alpha for name, layer in frame.layers.items()} for frame in Decomposition.open(folder).frames()
    ]


def small_recipe() -> object:
    from nvd_core.hashing_nvd.encodings.spec import GridSpec
    from nvd_core.hashing_nvd.recipe import Recipe

    return Recipe(grid=GridSpec(levels=4, table=2**10), mapping_width=32, width=16, fit_steps=5)


def check_exact(found: list[dict[str, np.ndarray]], mattes: dict[str, list[np.ndarray]], *names: str) -> None:
    for t, frame in enumerate(found):
        left = np.ones((SIZE.height, SIZE.width), np.float32)
        for name, pictures in mattes.items():
            visible = np.minimum(pictures[t] / np.float32(255), left)
            left = left - visible
            if name in names:
                assert np.array_equal(frame[name], visible.astype(np.float16)), (name, t)
        assert np.abs(sum(frame.values()) - 1).max() < 2e-3


@pytest.mark.parametrize("locked", [("front",), ("behind",), ("front", "behind")])
def test_what_networks_learn_leaves_locked_mattes_alone(
    locked: tuple[str, ...],
    demo: DemoClip,
    mattes: dict[str, list[np.ndarray]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="the neural solver needs torch")
    from nvd_core.hashing_nvd import from_random

    monkeypatch.setattr(from_random, "Recipe", small_recipe)
    settings = Settings.of(solver="neural", start="none", steps=4, batch=256, height=64, frames=FRAMES, device="cpu")
    job = Job(clip=str(demo.frames), masks=sources(mattes, tmp_path, *locked), settings=settings)
    solve(job, tmp_path / "out")
    found = alphas(tmp_path / "out")
    check_exact(found, mattes, *locked)
    free = [name for name in mattes if name not in locked]
    for name in free:
        assert not np.allclose(found[0][name], mattes[name][0] / 255, atol=0.05), "it was not learnt"
    named = {mask["name"]: mask.get("locked", False) for mask in read_manifest(tmp_path / "out").masks}
    assert named == {name: name in locked for name in mattes}


def test_the_lattice_never_changes_a_matte(demo: DemoClip, mattes: dict[str, list[np.ndarray]], tmp_path: Path) -> None:
    settings = Settings.of(preset="preview", height=64, frames=FRAMES)
    for locked in ((), ("front",)):
        folder = tmp_path / "-".join(("out", *locked))
        solve(Job(clip=str(demo.frames), masks=sources(mattes, tmp_path, *locked), settings=settings), folder)
        check_exact(alphas(folder), mattes, *mattes)


def test_a_locked_mask_of_one_frame_stays_locked_when_it_is_carried(demo: DemoClip, tmp_path: Path) -> None:
    key = MaskSource.of(name=OBJECT, path=str(demo.masks[OBJECT] / f"{OBJECT}.0002.png"), frame=2, locked=True)
    settings = Settings.of(preset="preview", height=64, frames=FRAMES)
    solve(Job(clip=str(demo.frames), masks=(key,), settings=settings), tmp_path / "out")
    assert [mask["locked"] for mask in read_manifest(tmp_path / "out").masks] == [True]


def test_it_is_asked_for_on_the_command_line_and_in_a_job(demo: DemoClip, tmp_path: Path) -> None:
    flags = [demo.frames, f"--mask={OBJECT}={demo.masks[OBJECT]}", "--frames=1-2", "--preset=preview", "--height=64"]
    before = tree(tmp_path)
    refused = nvd("decompose", *flags, "--lock=sing", "-o", tmp_path / "out")
    assert refused.returncode == 2
    assert "There is no mask of sing to lock" in refused.stderr
    assert tree(tmp_path) == before
    assert nvd("decompose", *flags, f"--lock={OBJECT}", "-o", tmp_path / "out").returncode == 0
    assert read_manifest(tmp_path / "out").masks[0]["locked"] is True

    text = 'clip = "a.mov"\n[[masks]]\nname = "car"\npath = "car"\nlocked = true\n'
    (tmp_path / "job.toml").write_text(text)
    (mask,) = read_job(tmp_path / "job.toml").masks
    assert mask == replace(mask, name="car", locked=True)


def test_shares_of_free_layers_stay_in_proportion() -> None:
    torch = pytest.importorskip("torch", reason="the neural solver needs torch")
    from nvd_core.hashing_nvd.locks import with_locked

    alpha = torch.tensor([[0.5, 0.9], [0.3, 0.06], [0.2, 0.04]])
    given = torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.5, 0.0]])
    held = with_locked(alpha, given, (True, False, False))
    torch.testing.assert_close(held, torch.tensor([[0.0, 1.0], [0.6, 0.0], [0.4, 0.0]]))
    assert held.sum(0).tolist() == pytest.approx([1, 1])


def test_mattes_between_pixels_are_what_their_neighbours_are() -> None:
    torch = pytest.importorskip("torch", reason="the neural solver needs torch")
    from nvd_core.hashing_nvd.footage import Footage

    masks = torch.tensor([[[[0, 255, 255], [0, 255, 255]]]], dtype=torch.uint8)
    shape = (1, 2, 3)
    footage = Footage(
        torch.zeros(*shape, 3, dtype=torch.uint8), torch.cat([masks, 255 - masks]), torch.zeros(2, *shape, 2),
        torch.ones(2, *shape, dtype=torch.bool), locked=(True, False),
    )  # fmt: skip
    points = torch.tensor([[0, 0, 0], [1, 1, 0], [0.25, 0.5, 0], [-4, 0, 0], [9, 9, 0]])
    found = footage.alpha_near(footage.unit(points))
    torch.testing.assert_close(found[0], torch.tensor([0, 1, 0.25, 0, 1.0]))
    torch.testing.assert_close(found.sum(0), torch.ones(5))
