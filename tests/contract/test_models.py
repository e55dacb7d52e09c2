"""Learned models find and carry masks, here tiny random ones; what they lack is told in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import solve, stop, tree

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_picture
from nvd_core.faces.demo_clip import OBJECT, DemoClip
from nvd_core.job_files import read_job
from nvd_core.masks.files import coverage
from nvd_core.pipeline import decompose
from nvd_core.quality.metrics import mask_iou
from nvd_core.roto.camera import Camera
from nvd_core.roto.recognise import Instances, objects_of
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.roto.window import Cutout
from nvd_core.spec.choices.finders import Moving
from nvd_core.spec.choices.propagators import Sam2 as Sam2Row
from nvd_core.spec.errors import InputError, UsageError
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import Job, MaskSource, Settings

pytest.importorskip("transformers", reason="learned models need transformers")

import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import write_mask2former, write_sam2

from nvd_core.roto.models.local import normalised
from nvd_core.roto.models.mask2former import Mask2Former
from nvd_core.roto.models.sam2 import Sam2

KEY = 4

WITHOUT_NETWORK = """
import os, socket, sys

def refuse(*_):
    os.write(2, b"it asked for the network")
    os._exit(99)

socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = refuse
"""

WITHOUT_PACKAGE = """
import sys

class Without:
    def find_spec(name, path=None, target=None):
        if name == PACKAGE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without)
"""


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sam2(tmp_path_factory.mktemp("models") / "sam2")


@pytest.fixture(scope="module")
def mask2former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mask2former(tmp_path_factory.mktemp("models") / "mask2former")


def true_path(demo: DemoClip, frame: int) -> Path:
    return demo.masks[OBJECT] / f"{OBJECT}.{frame:04d}.png"


def key_of(demo: DemoClip, frame: int = KEY) -> MaskSource:
    return MaskSource.of(name=OBJECT, path=str(true_path(demo, frame)), frame=frame)


def program(before: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process that something is done to first."""
    code = f"{before}\nsys.argv = {['nvd', *map(str, arguments)]!r}\nfrom nvd_core.__main__ import main\n"
    command = [sys.executable, "-c", code + "sys.exit(main())"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def made(demo: DemoClip, folder: Path, settings: Settings, *masks: MaskSource) -> dict[str, bytes]:
    """The pictures that come of it, by name."""
    folder.mkdir(exist_ok=True)
    clip = open_clip(demo.frames)
    wanted = Wanted(clip, clip.info.numbers, masks, folder / "masks", folder, 2, settings)
    rotoscope(wanted)
    return {name: data for name, data in tree(folder).items() if name.endswith(".png")}


def test_a_mask_is_carried_by_sam2_without_the_network(demo: DemoClip, sam2: Path, tmp_path: Path) -> None:
    flags = [demo.frames, f"--mask={OBJECT}@{KEY}={true_path(demo, KEY)}", f"--carry=sam2:{sam2}"]
    few = ["--preset=preview", "--height=64", "--frames=3-6"]
    done = program(WITHOUT_NETWORK, "decompose", *flags, *few, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    pictures = tree(tmp_path / "out" / "masks")
    assert {f"{OBJECT}/{OBJECT}.{number:04d}.png" for number in range(3, 7)} == pictures.keys() - {"masks.json"}
    exact = read_picture(tmp_path / "out" / "masks" / OBJECT / f"{OBJECT}.{KEY:04d}.png")
    assert np.array_equal(exact[..., 0], read_picture(true_path(demo, KEY))[..., 0])
    assert read_manifest(tmp_path / "out").settings["carry"] == f"sam2:{sam2}"


def test_the_same_bits_come_of_the_same_model_and_others_of_another(demo: DemoClip, sam2: Path, tmp_path: Path) -> None:
    learned = Settings.of(carry=f"sam2:{sam2}", device="cpu")
    first = made(demo, tmp_path / "a", learned, key_of(demo))
    assert first == made(demo, tmp_path / "b", learned, key_of(demo))
    other = Path(shutil.copytree(sam2, tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    turned = {name: -values for name, values in weights.items() if "upscale_conv2" in name}
    assert turned
    save_file(weights | turned, other / "model.safetensors", {"format": "pt"})
    changed = made(demo, tmp_path / "a", Settings.of(carry=f"sam2:{other}", device="cpu"), key_of(demo))
    assert first.keys() == changed.keys()
    assert first != changed, "the pictures of the first model were taken for those of the second"
    assert first != made(demo, tmp_path / "c", Settings(), key_of(demo))


@pytest.mark.parametrize("step", [1, -1])
def test_sam2_carries_as_transformers_does_with_the_whole_clip_in_memory(
    step: int, sam2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (24, 72, 128, 3), np.uint8)
    frames = np.stack([cv2.GaussianBlur(frame, (0, 0), 4) for frame in frames])
    mask = np.zeros((72, 128), np.float32)
    mask[20:50, 40:90] = 1
    model, start = Sam2.open(sam2, "cpu"), 2 if step > 0 else 21
    ours: list[np.ndarray] = []
    whole = Sam2._seen
    monkeypatch.setattr(Sam2, "_seen", lambda *given: ours.append(whole(*given)) or ours[-1])
    camera = Camera(frames, tuple(np.eye(3) for _ in frames))
    assert len(list(model.follow(camera, {start: Cutout.of(mask)}, start, step))) == 21

    video = torch.cat([normalised(frame, (128, 128), torch.device("cpu")) for frame in frames])
    session = transformers.Sam2VideoInferenceSession(video, 72, 128, dtype=torch.float32)
    session.obj_id_to_idx(0)
    session.add_mask_inputs(0, start, model._prompt(Cutout.of(mask), (72, 128)))
    session.obj_with_new_inputs = [0]
    seen = model._model.propagate_in_video_iterator(session, start, reverse=step < 0)
    for here, there in zip(ours, seen, strict=True):
        np.testing.assert_allclose(here, there.pred_masks[0, 0].numpy(), atol=1e-4)


def test_two_masks_are_carried_towards_each_other(demo: DemoClip, sam2: Path, tmp_path: Path) -> None:
    pictures = made(demo, tmp_path, Settings.of(carry=f"sam2:{sam2}"), key_of(demo, 2), key_of(demo, 7))
    for frame in (2, 7):
        given = cv2.imdecode(np.frombuffer(pictures[f"masks/{OBJECT}/{OBJECT}.{frame:04d}.png"], np.uint8), 0)
        assert np.array_equal(given, read_picture(true_path(demo, frame))[..., 0])
    assert len(pictures) == 8


def test_what_a_model_is_sure_of_is_found_and_carried(demo: DemoClip, mask2former: Path, tmp_path: Path) -> None:
    flags = [demo.frames, f"--find=mask2former:{mask2former}", "--preset=preview", "--height=64"]
    done = program(WITHOUT_NETWORK, "decompose", *flags, "--frames=3-6", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "found by the model: object" in done.stderr
    assert read_manifest(tmp_path / "out").names[0] == "object"


def test_what_no_model_is_sure_of_is_background(demo: DemoClip, mask2former: Path, tmp_path: Path) -> None:
    unsure = Path(shutil.copytree(mask2former, tmp_path / "unsure"))
    weights = load_file(unsure / "model.safetensors")
    weights["class_predictor.bias"] = torch.zeros_like(weights["class_predictor.bias"])
    save_file(weights, unsure / "model.safetensors", {"format": "pt"})
    assert made(demo, tmp_path, Settings.of(find=f"mask2former:{unsure}")) == {}


def test_mask2former_says_what_its_queries_say(mask2former: Path) -> None:
    found = Mask2Former.open(mask2former, "cpu").instances(np.full((70, 90, 3), 128, np.uint8))
    assert found.masks.shape == (6, 70, 90)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


@pytest.mark.skipif("NVD_SAM2" not in os.environ, reason="NVD_SAM2 names no folder with real weights of SAM 2")
def test_real_weights_carry_a_mask_well(demo: DemoClip, tmp_path: Path) -> None:
    pictures = made(demo, tmp_path, Settings.of(carry=f"sam2:{os.environ['NVD_SAM2']}"), key_of(demo))
    for frame in range(1, 9):
        mask = cv2.imdecode(np.frombuffer(pictures[f"masks/{OBJECT}/{OBJECT}.{frame:04d}.png"], np.uint8), 0)
        assert mask_iou(mask / np.float32(255), coverage(read_picture(true_path(demo, frame)))) > 0.85


# -- what cannot be used -----------------------------------------------------------------------------


def broken(kind: str, sam2: Path, mask2former: Path, folder: Path) -> Path:
    """A folder with something wrong about it."""
    if kind == "other":
        return mask2former
    path = Path(shutil.copytree(sam2, folder / kind))
    weights = path / "model.safetensors"
    if kind == "gone":
        shutil.rmtree(path)
    elif kind == "empty":
        (path / "config.json").unlink()
    elif kind == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif kind == "noise":
        weights.write_bytes(bytes(range(256)) * 64)
    elif kind == "lacking":
        kept = load_file(weights)
        kept.pop(min(kept))
        save_file(kept, weights, {"format": "pt"})
    elif kind == "pickled":
        torch.save(load_file(weights), path / "pytorch_model.bin")
        weights.unlink()
    elif kind == "senseless":
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | {"image_size": "large", "num_maskmem": -3}))
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("gone", "There is no model sam2"),
        ("empty", "holds no model"),
        ("other", "of the kind 'mask2former', not 'sam2_video'"),
        ("cut off", "cannot be loaded"),
        ("noise", "cannot be loaded"),
        ("lacking", "lacks 1 of its weights"),
        ("pickled", "cannot be loaded"),
        ("senseless", "cannot be loaded"),
    ],
)
def test_a_folder_that_holds_no_such_model_is_told(
    kind: str, words: str, demo: DemoClip, sam2: Path, mask2former: Path, tmp_path: Path
) -> None:
    path = broken(kind, sam2, mask2former, tmp_path)
    job = Job(clip=str(demo.frames), masks=(key_of(demo),), settings=Settings.of(carry=f"sam2:{path}"))
    with pytest.raises(InputError, match=words) as told:
        solve(job, tmp_path / "out")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_code_beside_a_model_is_not_run(demo: DemoClip, sam2: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(sam2, tmp_path / "with_code"))
    mark = tmp_path / "it_ran"
    (path / "modeling_own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    config = json.loads((path / "config.json").read_text())
    own = {"auto_map": {"AutoConfig": "modeling_own.Own", "AutoModel": "modeling_own.Own"}}
    (path / "config.json").write_text(json.dumps(config | own))
    assert len(made(demo, tmp_path / "out", Settings.of(carry=f"sam2:{path}"), key_of(demo))) == 8
    assert not mark.exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"carry": "sam3:x"}, "'sam3:x' is nothing that there is"),
        ({"carry": "sam2"}, "'sam2' is nothing that there is"),
        ({"carry": "sam2:"}, "is nothing that there is"),
        ({"find": "people"}, "'people' is nothing that there is"),
        ({"find": "mask2former:x"}, "masks are given"),
    ],
)
def test_a_model_that_there_is_not_or_that_would_not_be_asked_is_refused(
    settings: dict[str, str], words: str, demo: DemoClip, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        solve(Job(clip=str(demo.frames), masks=(key_of(demo),), settings=Settings.of(**settings)), tmp_path / "out")


def test_a_carrier_with_nothing_to_carry_is_refused(demo: DemoClip, tmp_path: Path) -> None:
    whole = (MaskSource.of(name=OBJECT, path=str(demo.masks[OBJECT])),)
    for masks, settings in ((whole, {}), ((), {"find": "nothing"})):
        with pytest.raises(UsageError, match="nothing to carry"):
            solve(Job(clip=str(demo.frames), masks=masks, settings=Settings.of(carry="sam2:x", **settings)), tmp_path)


@pytest.mark.parametrize(
    ("package", "flag"),
    [("torch", "--carry=sam2"), ("transformers", "--carry=sam2"), ("torchvision", "--find=maskrcnn")],
)
def test_what_a_model_needs_is_told(package: str, flag: str, demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    key = [f"--mask={OBJECT}@{KEY}={true_path(demo, KEY)}"] if "carry" in flag else []
    before = WITHOUT_PACKAGE.replace("PACKAGE", repr(package))
    done = program(before, "decompose", demo.frames, *key, f"{flag}:{tmp_path / 'weights'}", "-o", tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert f"needs {package}" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_job_is_taken_up_wherever_its_model_lies_by_now(
    demo: DemoClip, sam2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(sam2, tmp_path / "model").parent)
    settings = Settings.of(carry="sam2:model", preset="preview", height=64, frames="4-5", device="cpu")
    job, out = Job(clip=str(demo.frames), masks=(key_of(demo),), settings=settings), tmp_path / "out"
    stop(partial(decompose, job, out), lambda _: list((out / "checkpoint").glob("*.safetensors")))
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    rest = solve(replace(job, settings=replace(settings, carry=Sam2Row("moved"))), out, resume=True)
    assert not [event for event in rest if isinstance(event, Caution) and "take up" in event.message]
    assert read_manifest(out).settings["carry"] == f"sam2:{moved}"


def test_paths_in_a_job_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'clip = "a.mov"\n[settings]\ncarry = "sam2:models/sam2"\nfind = "moving"\n'
    (tmp_path / "job.toml").write_text(text)
    monkeypatch.chdir(tmp_path.parent)
    settings = read_job(tmp_path / "job.toml").settings
    assert str(settings.carry) == f"sam2:{tmp_path / 'models' / 'sam2'}"
    assert settings.find == Moving()


# -- which of what a model knows become objects --------------------------------------------------------


def box(left: int, right: int) -> np.ndarray:
    mask = np.zeros((20, 40), bool)
    mask[5:15, left:right] = True
    return mask


def look(*known: tuple[float, np.ndarray]) -> Instances:
    return Instances(np.array([score for score, _ in known], np.float32), np.stack([mask for _, mask in known]))


def still(looks: dict[int, Instances]) -> dict[int, np.ndarray]:
    return {t: np.zeros(len(one.scores), np.float32) for t, one in looks.items()}


def test_the_frame_is_taken_that_shows_most_of_the_sure_objects() -> None:
    looks = {0: look((0.9, box(2, 8))), 3: look((0.8, box(2, 12)), (0.95, box(20, 30)), (0.6, box(32, 38)))}
    found = objects_of(looks, still(looks))
    assert [(one.t, round(one.confidence, 2)) for one in found] == [(3, 0.95), (3, 0.8)]
    assert np.array_equal(found[0].mask, box(20, 30))


def test_what_moves_goes_before_what_does_not() -> None:
    looks = {0: look((0.99, box(2, 20))), 3: look((0.99, box(2, 20)), (0.75, box(25, 30)))}
    (found,) = objects_of(looks, {0: np.array([0.1], np.float32), 3: np.array([0.1, 0.8], np.float32)})
    assert np.array_equal(found.mask, box(25, 30))


def test_one_thing_is_one_object_and_the_whole_frame_is_none() -> None:
    looks = {0: look((0.9, box(2, 12)), (0.8, box(3, 12)), (0.99, np.ones((20, 40), bool)))}
    assert len(objects_of(looks, still(looks))) == 1
    nothing = {0: look((0.5, box(2, 12)))}
    assert objects_of(nothing, still(nothing)) == ()
