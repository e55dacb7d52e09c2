"""A third party reads what we write and warps as we do.

OpenImageIO's ``st_warp`` takes, for each pixel, where in the source it comes from: s = (x + 0.5) / width
and t = (y + 0.5) / height with t going DOWN, so our maps, whose t goes up, need ``flip_t``. Its filter is
as wide as the map is minified, and its "triangle" of width 2 is plain bilinear look-up only for a map
that keeps the scale; and beyond the edge it darkens where we repeat. So the comparison with our bilinear
look-up is made exactly on maps that keep the scale, and, on the maps of a real decomposition, on an atlas
that is smooth against the filter's width.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (as its manual has it)
import pytest
from support import nvd

from nvd_core.image.exr import read_exr
from nvd_core.result.decomposition import Decomposition
from nvd_core.shot.compositing import look_up
from nvd_core.spec.conventions import u_from_x, v_from_y


def oiio_read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Channels by name, as they lie in the file, and their types."""
    image = oiio.ImageInput.open(str(path))
    assert image is not None, oiio.geterror()
    spec = image.spec()
    pixels = image.read_image(oiio.FLOAT)
    types = [str(one) for one in spec.channelformats] or [str(spec.format)] * spec.nchannels
    image.close()
    names = list(spec.channelnames)
    return {name: pixels[..., names.index(name)] for name in names}, dict(zip(names, types, strict=True))


def test_frames_read_the_same(solved: Decomposition) -> None:
    path = solved.manifest.frame_path(solved.folder, 4)
    theirs, types = oiio_read(path)
    _, ours = read_exr(path)
    wanted = dict.fromkeys("RGBA", "half")
    for layer in solved.manifest.names:
        wanted |= {f"{layer}.uv.{axis}": "float" for axis in "XYZ"} | {f"{layer}.alpha.V": "half"}
        wanted |= {f"{layer}.residual.{axis}": "half" for axis in "RGB"}
    assert types == wanted
    assert theirs.keys() == ours.keys()
    for name, pixels in theirs.items():
        assert np.array_equal(pixels, ours[name]), name
        assert pixels.shape == (solved.size.height, solved.size.width)


@pytest.mark.parametrize("kind", ["atlas_files", "original_files"])
def test_atlases_read_the_same(kind: str, solved: Decomposition) -> None:
    for layer, file in getattr(solved.manifest, kind).items():
        theirs, types = oiio_read(solved.folder / file)
        assert types == dict.fromkeys("RGBA", "half")
        assert np.array_equal(np.dstack([theirs[name] for name in "RGB"]), solved.original(layer))
        assert np.array_equal(theirs["A"], solved.covered(layer))
        assert set(np.unique(theirs["A"])) <= {0, 1}


def st_warp(atlas: np.ndarray, uv: np.ndarray) -> np.ndarray:
    source = oiio.ImageBuf(np.ascontiguousarray(atlas))
    stmap = oiio.ImageBuf(np.ascontiguousarray(np.dstack([uv, np.ones(uv.shape[:2], np.float32)])))
    frame = oiio.ROI(0, uv.shape[1], 0, uv.shape[0], 0, 1, 0, 3)  # without it the result has the atlas's size
    warped = oiio.ImageBufAlgo.st_warp(source, stmap, filtername="triangle", filterwidth=2.0, flip_t=True, roi=frame)
    assert not warped.has_error, warped.geterror()
    return warped.get_pixels(oiio.FLOAT)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.25, 0.75)])
def test_a_shifted_map_warps_exactly_as_we_look_up(offset: tuple[float, float]) -> None:
    atlas = np.random.default_rng(0).random((50, 70, 3), np.float32)
    y, x = np.mgrid[10:40, 12:52].astype(np.float32)
    uv = np.stack([u_from_x(x + offset[0], 70), v_from_y(y + offset[1], 50)], axis=-1).astype(np.float32)
    np.testing.assert_allclose(st_warp(atlas, uv), look_up(atlas, uv), atol=2e-4)


def test_the_check_sees_a_flip_and_a_half_pixel() -> None:
    atlas = np.random.default_rng(0).random((50, 70, 3), np.float32)
    y, x = np.mgrid[10:40, 12:52].astype(np.float32)
    uv = np.stack([u_from_x(x, 70), v_from_y(y, 50)], axis=-1).astype(np.float32)
    half = np.float32([0.5 / 70, 0])
    for wrong in (uv + half, np.stack([uv[..., 0], 1 - uv[..., 1]], axis=-1)):
        assert np.abs(st_warp(atlas, wrong) - look_up(atlas, uv)).max() > 0.1


@pytest.mark.parametrize("layer", ["sign", "background"])
def test_exported_stmaps_warp_as_we_look_up(layer: str, own_folder: Path) -> None:
    assert nvd("export", own_folder, "--stmap").returncode == 0
    decomposition = Decomposition.open(own_folder)
    shape = decomposition.original(layer).shape[:2]
    noise = np.random.default_rng(1).standard_normal((*shape, 3)).astype(np.float32)
    atlas = cv2.GaussianBlur(noise, (0, 0), 6)
    atlas = (atlas - atlas.min()) / np.ptp(atlas)
    for path in sorted((own_folder / "stmap" / layer).iterdir())[::3]:
        theirs, types = oiio_read(path)
        assert types == {"R": "float", "G": "float", "B": "float"}
        uv = np.dstack([theirs["R"], theirs["G"]])
        margin = 3 / np.array(shape[::-1])
        inside = ((uv > margin) & (uv < 1 - margin)).all(axis=-1) & (theirs["B"] > 0.5)
        assert np.count_nonzero(inside) > 300
        apart = np.abs(st_warp(atlas, uv) - look_up(atlas, uv))[inside]
        assert apart.max() < 0.02
        assert apart.mean() < 0.003
