"""Given flow: what is read from files, how it is inverted and composed, and who else may give it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import OpenImageIO
import pytest
from support import SIZE, sliding, texture

from nvd_core.clip import ClipInfo, open_clip
from nvd_core.flow.compose import Start, follow, inverted
from nvd_core.flow.dis import dis_flow
from nvd_core.flow.files import open_files, read_flow_file
from nvd_core.flow.given import read_flow, scaled
from nvd_core.flow.raft import Raft, looked_at, open_raft, padded
from nvd_core.image.colour import luma8
from nvd_core.masks import open_mattes
from nvd_core.runtime.progress import Progress
from nvd_core.shot import prepare
from nvd_core.spec.choices.flow_sources import FlowSource
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, SetupError, UsageError
from nvd_core.spec.protocol import Event
from nvd_core.spec.settings import Job, Settings, with_paths

CENTRE, TURN = np.array([80.0, 48.0]), np.deg2rad(3)


def random_flow(size: Size = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 5, (size.height, size.width, 2)).astype(np.float32)


def write_flo(path: Path, flow: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.writeOpticalFlow(str(path), flow)
    return path


def write_passes(path: Path, **channels: np.ndarray) -> Path:
    """An EXR that OpenImageIO writes."""
    pixels = np.dstack(list(channels.values()))
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "float")
    spec.channelnames = list(channels)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    output.close()
    return path


def test_flo_as_opencv_writes_it(tmp_path: Path):
    flow = random_flow()
    there, back = read_flow_file(write_flo(tmp_path / "a.flo", flow))
    np.testing.assert_array_equal(there, flow)
    assert back is None


@pytest.mark.parametrize(
    ("names", "there", "back"),
    [
        (("ViewLayer.Vector.X", "ViewLayer.Vector.Y", "ViewLayer.Vector.Z", "ViewLayer.Vector.W"), (-1, 1), (1, -1)),
        (("backward.u", "backward.v", "forward.u", "forward.v"), (1, -1), (1, -1)),
        (("A", "B", "R", "G"), (1, 1), None),
    ],
)
def test_exr_by_its_channels_names(
    tmp_path: Path, names: tuple[str, ...], there: tuple[int, int], back: tuple[int, int] | None
):
    last, following = random_flow(), random_flow(seed=1)
    planes = (last[..., 0], last[..., 1], following[..., 0], following[..., 1])
    path = write_passes(tmp_path / "a.exr", **dict(zip(names, planes, strict=True)), other=last[..., 0])
    to_next, to_last = read_flow_file(path)
    np.testing.assert_array_equal(to_next, following * np.float32(there))
    if back is None:
        assert to_last is None
    else:
        np.testing.assert_array_equal(to_last, last * np.float32(back))


def test_no_flow_in_the_file_is_told_with_what_is_there(tmp_path: Path):
    path = write_passes(tmp_path / "depth.exr", **{"ViewLayer.Depth.Z": random_flow()[..., 0]})
    with pytest.raises(InputError, match=r"no flow \(it has ViewLayer.Depth.Z\)"):
        read_flow_file(path)


def test_colours_of_a_view_layer_are_no_flow(tmp_path: Path):
    path = write_passes(tmp_path / "a.exr", **{f"ViewLayer.Combined.{one}": random_flow()[..., 0] for one in "RGBA"})
    with pytest.raises(InputError, match="no flow") as caught:
        read_flow_file(path)
    assert "the pass Vector" in caught.value.hint


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"NOFL" + data[4:], lambda _: b""])
def test_damaged_flo(tmp_path: Path, damage):
    path = write_flo(tmp_path / "a.flo", random_flow())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="damaged"):
        read_flow_file(path)


def clip_of(tmp_path: Path, count: int) -> ClipInfo:
    return open_clip(sliding(tmp_path / "clip", count)).info


@pytest.mark.parametrize(
    ("first", "many", "numbers", "wanted"),
    [
        (1, 6, range(1, 7), [1, 2, 3, 4, 5, 6]),  # by number
        (1, 5, range(1, 7), [1, 2, 3, 4, 5]),  # the last frame has no next
        (1, 5, range(3, 5), [3, 4]),
        (100, 5, range(1, 7), [100, 101, 102, 103, 104]),  # by order
        (100, 6, range(3, 5), [102, 103]),
        (100, 1, range(3, 5), [100]),  # for the frames used alone
    ],
)
def test_files_fit_frames_as_masks_do(tmp_path: Path, first: int, many: int, numbers: range, wanted: list[int]):
    for number in range(first, first + many):
        write_flo(tmp_path / "flow" / f"f.{number:04}.flo", random_flow())
    found = open_files(str(tmp_path / "flow"), clip_of(tmp_path, 6), numbers)
    assert [int(path.stem.split(".")[1]) for path in found.files] == wanted


def test_another_number_of_files_than_frames(tmp_path: Path):
    for number in range(100, 103):
        write_flo(tmp_path / "flow" / f"f.{number:04}.flo", random_flow())
    with pytest.raises(InputError, match="3 flow files and 6 frames"):
        open_files(str(tmp_path / "flow"), clip_of(tmp_path, 6), range(1, 7))


def test_larger_flow_is_scaled_with_its_values():
    flow = np.full((40, 60, 2), (6, 4), np.float32)
    np.testing.assert_allclose(scaled(flow, Size(30, 10)), np.full((10, 30, 2), (3, 1)), atol=1e-6)


class Turning:
    """Flow of pictures that turn about a point, at any distance in frames; a bar that stands still is before some."""

    def __init__(self, distances: tuple[int, ...], hidden: range = range(0)):
        self.distances, self.hidden = distances, hidden

    def pair(self, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[: SIZE.height, : SIZE.width].astype(np.float64)
        points = np.stack([x, y], axis=-1)
        there, back = (turned(points, sign * (b - a)) - points for sign in (1, -1))
        there[self.bar(a)], back[self.bar(b)] = 0, 0
        return there.astype(np.float32), back.astype(np.float32)

    def bar(self, t: int) -> np.ndarray:
        bar = np.zeros((SIZE.height, SIZE.width), bool)
        bar[:, 90:] = t in self.hidden
        return bar

    def shown(self, t: int) -> np.ndarray:
        """All but the bar and what is blended with it."""
        return cv2.erode((~self.bar(t)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def turned(points: np.ndarray, frames: float) -> np.ndarray:
    cos, sin = np.cos(TURN * frames), np.sin(TURN * frames)
    return (points - CENTRE) @ np.array([[cos, sin], [-sin, cos]]) + CENTRE


def spots() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (CENTRE + rng.uniform(-25, 25, (3000, 2))).astype(np.float32)


def test_points_are_followed_along_flow_of_many_frames():
    flow, points = Turning((1,)), spots()
    for _, t, there, seen in follow(flow, flow.shown, [Start(2, points, 32)]):
        assert seen.all()
        assert np.abs(there - turned(points, t - 2)).max() < 0.01
    assert t == 32


def test_what_passes_before_a_point_is_gone_around():
    points = spots()
    ends = {}
    for distances in ((1,), (1, 2, 4)):
        flow = Turning(distances, hidden=range(3, 6))
        for _, t, there, seen in follow(flow, flow.shown, [Start(0, points, 12)]):
            true = turned(points, t)
            assert np.abs(there - true)[seen].max() < 0.05
            if t in flow.hidden:
                assert not seen[true[:, 0] > 91].any()
        ends[distances] = seen
    was_hidden = (np.stack([turned(points, t)[:, 0] for t in range(3, 6)]) > 91).any(axis=0)
    assert was_hidden.sum() > 500
    assert not ends[1,][was_hidden].any()
    assert ends[1, 2, 4].all()


def test_flow_is_inverted_but_not_where_two_surfaces_arrive():
    flow = Turning((1,))
    there, back = flow.pair(0, 1)
    found = inverted(there)[8:-8, 8:-8]
    assert np.abs(found - back[8:-8, 8:-8]).max() < 0.01
    there[:] = 0
    there[:, 40:60, 0] = 20  # slides over what stays
    found = inverted(there)
    assert np.isnan(found[:, 41:59]).all()
    np.testing.assert_allclose(found[:, 61:79, 0], -10)


def test_flow_that_points_the_wrong_way_is_refused(tmp_path: Path):
    frames = np.stack([texture(Size(200, 96))[:, 2 * t : 2 * t + 160] for t in range(4)])
    info = clip_of(tmp_path, 4)
    for sign, is_right in ((-2, True), (2, False)):
        for number in range(1, 4):
            write_flo(tmp_path / "flow" / f"f.{number}.flo", np.full((96, 160, 2), (sign, 0), np.float32))
        flow = open_files(str(tmp_path / "flow"), info, info.numbers)
        if is_right:
            there, back = read_flow(flow, frames, tmp_path, 1).pair(1, 2)
            assert (there[..., 0] == -2).all()
            assert (back[:, :-2, 0] == 2).all()
        else:
            with pytest.raises(InputError, match="does not fit the clip"):
                read_flow(flow, frames, tmp_path, 1)


def test_a_path_in_a_job_is_relative_to_it(tmp_path: Path):
    def located(flow: str) -> str:
        job = Job(settings=Settings.of(flow=flow))
        return str(with_paths(job, lambda named: str(tmp_path / named)).settings.flow)

    assert located("dis") == "dis"
    assert located("raft:w.pth") == f"raft:{tmp_path / 'w.pth'}"
    assert located("flow/f.####.exr") == str(tmp_path / "flow" / "f.####.exr")


def test_raft_needs_weights(tmp_path: Path):
    with pytest.raises(UsageError, match="raft:WEIGHTS"):
        open_raft("")


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_raft_without_torchvision_is_one_sentence(tmp_path: Path):
    (tmp_path / "raft.safetensors").touch()
    with pytest.raises(SetupError, match="torch and torchvision, which cannot be imported"):
        open_raft(str(tmp_path / "raft.safetensors"))


def test_raft_from_a_file_of_weights(tmp_path: Path):
    models = pytest.importorskip("torchvision.models.optical_flow", reason="torchvision cannot be imported")
    import torch
    from safetensors.torch import save_file

    save_file(models.raft_small(weights=None).state_dict(), tmp_path / "raft.safetensors")
    there, back = open_raft(str(tmp_path / "raft.safetensors")).pair(np.stack([texture(SIZE)] * 2), 0, 1)
    assert there.shape == back.shape == (SIZE.height, SIZE.width, 2)
    with pytest.raises(InputError, match="no such file"):
        open_raft(str(tmp_path / "none.pth"))
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no weights of torchvision's RAFT"):
        open_raft(str(tmp_path / "other.safetensors"))


def test_raft_runs_on_the_device_of_the_settings(tmp_path: Path):
    pytest.importorskip("torchvision.models.optical_flow", reason="torchvision cannot be imported")
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    (tmp_path / "raft.safetensors").touch()
    clip = clip_of(tmp_path, 2)
    with pytest.raises(SetupError, match="no NVIDIA GPU"):
        FlowSource.parse(f"raft:{tmp_path / 'raft.safetensors'}").open(clip, clip.numbers, "cuda")


def test_flow_that_changes_while_it_is_read_ends_the_job(tmp_path: Path):
    clip = open_clip(sliding(tmp_path / "clip", 4))
    numbers = clip.info.numbers
    files = [write_flo(tmp_path / "flow" / f"f.{one}.flo", np.zeros((96, 160, 2), np.float32)) for one in range(1, 4)]
    flow = open_files(str(tmp_path / "flow"), clip.info, numbers)

    def hear(event: Event) -> None:
        if event.done > 0.5:
            write_flo(files[0], np.ones((48, 80, 2), np.float32))

    with pytest.raises(InputError, match="was changed while it was in use") as caught:
        prepare(clip, open_mattes((), clip.info), numbers, 96, tmp_path, 1, flow, Progress(hear))
    assert caught.value.where == str(files[0])


def test_pictures_are_made_fit_for_the_network_and_flow_is_brought_back(tmp_path: Path):
    assert padded(np.zeros((100, 201, 3), np.uint8)).shape == (128, 208, 3)
    assert looked_at(Size(1024, 576)) == (512, 288)
    assert looked_at(Size(100, 50)) == (100, 50)
    wide = cv2.resize(texture(Size(420, 150)), (1640, 600), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([wide[12 * t : 12 * t + 540, 20 * t : 20 * t + 1500] for t in range(3)])
    # Another network stands for RAFT: what surrounds it is the same.
    raft = Raft(tmp_path, lambda here, there: dis_flow(luma8(here), luma8(there)), distances=(1, 2))
    flow = read_flow(raft, frames, tmp_path, 2)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        there, back = (np.median(one[60:-60, 100:-100], axis=(0, 1)) for one in flow.pair(a, b))
        np.testing.assert_allclose(there, (-20 * (b - a), -12 * (b - a)), atol=0.3)
        np.testing.assert_allclose(back, -there, atol=0.3)


def test_what_is_not_a_number_and_another_size_name_the_file(tmp_path: Path):
    info = clip_of(tmp_path, 2)
    frames = np.stack([texture(SIZE)] * 2)
    bad = np.zeros((SIZE.height, SIZE.width), np.float32)
    path = tmp_path / "flow" / "f.0001.exr"
    for channels, words in (
        ({"R": bad * np.nan, "G": bad}, "not numbers"),
        ({"R": bad[1:], "G": bad[1:]}, "The flow is 160x95, the clip is 160x96"),
        ({"Vector.X": bad, "Vector.Y": bad}, "no flow to the next frame"),
    ):
        path.parent.mkdir(exist_ok=True)
        for number in (1, 2):  # the first file is looked at before anything is done
            OpenEXR.File({}, {"R": bad, "G": bad}).write(str(path.with_stem(f"f.{number:04d}")))
        opened = open_files(str(path.parent), info, info.numbers)
        OpenEXR.File({}, channels).write(str(path))  # ours writes nothing that is not finite
        with pytest.raises(InputError, match=words) as caught:
            open_files(str(path.parent), info, info.numbers)
        assert caught.value.where == str(path)
        with pytest.raises(InputError, match=words) as caught:
            read_flow(opened, frames, tmp_path, 1)
        assert caught.value.where == str(path)
