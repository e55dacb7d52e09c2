"""Clips at the edge of what there is: short, maskless, hidden, crowded, grey, and of odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import SIZE, disc, sliding, solve, texture, write_masks

from nvd_core.clip.pictures import write_png
from nvd_core.image.colour import linear_from_display
from nvd_core.image.exr import write_exr
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.rendering import render
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.settings import Job, MaskSource, Settings

BLACK, WHITE = disc((0, 0), 0) * 0, np.full((SIZE.height, SIZE.width), 255, np.uint8)


def single_picture(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    write_png(at / "still.png", texture(SIZE))
    return at / "still.png", {"thing": [disc((60, 40))]}


def folder_of_one(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 1), {}


def two_frames(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 2), {"thing": [disc((60, 40)), disc((58, 40))]}


def no_masks(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 5), {}


def all_white_masks(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 4), {"everything": [WHITE] * 4}


def hidden_at_the_start(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 5), {"thing": [BLACK, BLACK, *(disc((90 - 2 * t, 50)) for t in (2, 3, 4))]}


def hidden_in_between(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 5), {"thing": [BLACK if t in (1, 2) else disc((90 - 2 * t, 50)) for t in range(5)]}


def seen_once(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 5), {"thing": [disc((90, 50)) if t == 3 else BLACK for t in range(5)]}


def leaving_by_the_edge(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    masks = [np.zeros((SIZE.height, SIZE.width), np.uint8) for _ in range(4)]
    for mask, left in zip(masks, (120, 135, 150, SIZE.width - 1), strict=True):
        mask[20:70, left:] = 255
    return sliding(at / "clip", 4), {"thing": masks}


def tiny_object(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 3), {"thing": [disc((90 - 2 * t, 50), 3) for t in range(3)]}


def several_objects_that_overlap(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    places = {"one": (50, 40), "two": (60, 45), "three": (110, 60)}
    return sliding(at / "clip", 4), {name: [disc((x - 2 * t, y)) for t in range(4)] for name, (x, y) in places.items()}


def without_any_texture(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    for number in (1, 2, 3):
        write_png(at / "clip" / f"grey.{number}.png", np.full((SIZE.height, SIZE.width, 3), 120, np.uint8))
    return at / "clip", {"thing": [disc((60, 40))] * 3}


def black_frames(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    for number in (1, 2, 3):
        write_png(at / "clip" / f"black.{number}.png", np.zeros((SIZE.height, SIZE.width, 3), np.uint8))
    return at / "clip", {}


def odd_size(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    size = Size(131, 77)
    return sliding(at / "clip", 3, size), {"thing": [disc((60, 40), size=size)] * 3}


def upright(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    return sliding(at / "clip", 3, Size(72, 160)), {}


def brighter_than_white(at: Path) -> tuple[Path, dict[str, list[np.ndarray]]]:
    wide = 20 * linear_from_display(texture(Size(200, 96)).astype(np.float32) / 255)
    for number in (1, 2, 3):
        picture = wide[:, 2 * number : 2 * number + 160]
        write_exr(at / "clip" / f"hdr.{number}.exr", {name: picture[..., i] for i, name in enumerate("RGB")})
    return at / "clip", {}


CASES = [
    single_picture, folder_of_one, two_frames, no_masks, all_white_masks, hidden_at_the_start, hidden_in_between,
    seen_once, tiny_object, several_objects_that_overlap, without_any_texture, black_frames, odd_size, upright,
    brighter_than_white,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_unusual_clips_are_decomposed_all_the_same(case: Callable, tmp_path: Path) -> None:
    clip, masks = case(tmp_path)
    sources = tuple(
        MaskSource.of(name=name, path=str(write_masks(tmp_path / name, pictures))) for name, pictures in masks.items()
    )
    solve(Job(clip=str(clip), masks=sources, settings=Settings(preset="preview")), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.manifest.names == (*masks, "background")
    # What these clips show is easy: they pan. Where they do not, the lighting alone gives the plate back.
    assert decomposition.manifest.metrics["psnr"] > 30
    frames = list(decomposition.frames())
    assert len(frames) == decomposition.clip.info.count
    for frame in frames:
        check_sound(frame)
    rendered = list(render(decomposition, {}, "keep-plate"))
    from nvd_core.image.colour import to_linear

    assert all(np.array_equal(one.linear, to_linear(frame.plate)) for one, frame in zip(rendered, frames, strict=True))


def check_sound(frame) -> None:
    """What every frame of every decomposition keeps to."""
    assert np.isfinite(frame.rebuilt).all()
    for layer in frame.layers.values():
        assert np.isfinite(layer.uv_atlas).all()
        assert np.isfinite(layer.residual).all()
        assert (layer.residual > 0).all()
        assert layer.alpha.min() >= 0
        assert layer.alpha.max() <= 1
    np.testing.assert_allclose(sum(layer.alpha for layer in frame.layers.values()), 1, atol=1e-3)


def test_the_report_says_that_a_single_frame_is_no_shot(tmp_path: Path) -> None:
    solve(Job(clip=str(folder_of_one(tmp_path)[0]), settings=Settings(preset="preview")), tmp_path / "out")
    assert any("single frame" in warning for warning in Decomposition.open(tmp_path / "out").manifest.warnings)


def test_the_report_says_which_layer_is_never_seen(tmp_path: Path) -> None:
    clip, masks = all_white_masks(tmp_path)
    masks = (MaskSource.of(name="everything", path=str(write_masks(tmp_path / "masks", masks["everything"]))),)
    solve(Job(clip=str(clip), masks=masks, settings=Settings(preset="preview")), tmp_path / "out")
    warnings = Decomposition.open(tmp_path / "out").manifest.warnings
    assert any("The layer background is not seen in any frame" in warning for warning in warnings)


@pytest.mark.parametrize("preset", ["standard", "final"])
def test_finer_presets_take_one_frame_too(preset: str, tmp_path: Path) -> None:
    solve(Job(clip=str(folder_of_one(tmp_path)[0]), settings=Settings(preset=preset)), tmp_path / "out")
    assert Decomposition.open(tmp_path / "out").manifest.metrics["psnr"] > 30


def test_results_have_the_plates_size_whatever_they_were_solved_at(tmp_path: Path) -> None:
    clip = sliding(tmp_path / "clip", 2, Size(256, 144))
    solve(Job(clip=str(clip), settings=Settings(preset="preview", height=144)), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.manifest.metrics["size"] == "128x72"
    assert {frame.rebuilt.shape for frame in decomposition.frames()} == {(144, 256, 3)}


def test_a_pan_over_many_frames_widths_is_all_in_the_atlas(tmp_path: Path) -> None:
    wide = texture(Size(5 * SIZE.width, SIZE.height))
    for index, left in enumerate(range(0, 4 * SIZE.width, SIZE.width // 16)):
        write_png(tmp_path / "clip" / f"pan.{index:03d}.png", wide[:, left : left + SIZE.width])
    solve(Job(clip=str(tmp_path / "clip"), settings=Settings(preset="preview")), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.original("background").shape[1] > 4.2 * SIZE.width
    assert decomposition.manifest.metrics["psnr_atlas_only"] > 30
    for frame in decomposition.frames():
        uv_atlas = frame.layers["background"].uv_atlas
        assert ((uv_atlas > -0.01) & (uv_atlas < 1.01)).all()


@pytest.mark.parametrize("size", [Size(16, 16), Size(200, 8)])
def test_a_clip_with_nothing_to_follow_is_refused(size: Size, tmp_path: Path) -> None:
    write_png(tmp_path / "clip" / "a.1.png", texture(size))
    with pytest.raises(InputError, match="too small"):
        solve(Job(clip=str(tmp_path / "clip")), tmp_path / "out")
    assert not (tmp_path / "out").exists()
