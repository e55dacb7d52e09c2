"""A result is not written over unless that is asked for; the next one is a version of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import command, differing, disc, flags_of, job_file, job_of, nvd, results, sliding, solve, stop, tree

from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.pipeline import decompose
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.layer_names import check_names, spelled
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.protocol import Caution, Failed, Stage, decode
from nvd_core.spec.run_record import RunRecord, asked
from nvd_core.spec.settings import Job, MaskSource, Settings
from nvd_core.spec.versions import belongs, held, holds_result, next_version, unfinished_version


def test_a_second_run_goes_to_a_version_of_its_own_and_that_is_told(demo: DemoClip, own_folder: Path) -> None:
    before = tree(own_folder)
    again = ("decompose", *flags_of(demo), "--frames=3-4", "-o", own_folder, "--json")
    for version in ("own_v002", "own_v003"):
        done = nvd(*again)
        assert done.returncode == 0, done.stderr
        new = own_folder.with_name(version)
        assert f"{own_folder} holds demo, frames 1-8; the new result goes to {new}. --replace" in done.stderr
        assert json.loads(done.stdout)["folder"] == str(new)
        assert read_manifest(new).source.numbers == range(3, 5)
    assert tree(own_folder) == before


def test_replace_writes_over_it(demo: DemoClip, own_folder: Path, tmp_path: Path) -> None:
    done = nvd("decompose", *flags_of(demo), "--frames=3-4", "-o", own_folder, "--replace")
    assert done.returncode == 0, done.stderr
    solve(job_of(demo, frames="3-4"), tmp_path / "clean")
    assert differing(results(own_folder), results(tmp_path / "clean")) == []
    assert next_version(own_folder).name == "own_v002"


def test_the_worker_refuses_to_write_over_a_result(demo: DemoClip, own_folder: Path, tmp_path: Path) -> None:
    before = tree(own_folder)
    job = job_file(tmp_path / "job.json", job_of(demo, frames="3-4"))
    for flags in ([], ["--resume"]):
        done = nvd("worker", job, own_folder, *flags, stdin=None)
        said = decode(done.stdout.splitlines()[-1])
        assert isinstance(said, Failed)
        assert (done.returncode, said.message) == (3, "The folder holds demo, frames 1-8")
        assert "own_v002" in said.hint
        assert tree(own_folder) == before


def test_a_part_of_a_clip_goes_to_a_folder_of_its_own(demo: DemoClip, tmp_path: Path) -> None:
    for frames, name in (("3-4", "demo_nvd_3-4"), ("1-8", "demo_nvd")):
        done = nvd("decompose", *flags_of(demo), f"--frames={frames}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        ([], "car_nvd", "car_nvd"),
        (["car_nvd"], "car_nvd", "car_nvd_v002"),
        (["car_nvd", "car_nvd_v002", "car_nvd_v007", "cars_nvd_v009"], "car_nvd", "car_nvd_v008"),
        (["car_nvd", "car_nvd_v002"], "car_nvd_v002", "car_nvd_v003"),
        (["car_nvd", "CAR_nvd_v002"], "car_nvd", "car_nvd_v003"),
        (["shot_v041"], "shot_v041", "shot_v042"),
        (["car_nvd", "car_nvd_v999"], "car_nvd", "car_nvd_v1000"),
    ],
)
def test_the_next_version(there: list[str], asked: str, expected: str, tmp_path: Path) -> None:
    for name in there:
        (tmp_path / name / "anything").mkdir(parents=True)
    assert next_version(tmp_path / asked) == tmp_path / expected


def test_an_empty_folder_is_its_own_first_version(tmp_path: Path) -> None:
    assert next_version(tmp_path) == tmp_path


def test_what_a_folder_holds(own_folder: Path, tmp_path: Path) -> None:
    assert holds_result(own_folder)
    assert held(own_folder) == "demo, frames 1-8"
    assert not holds_result(tmp_path / "nowhere")
    (own_folder / "manifest.json").unlink()
    assert not holds_result(own_folder), "nobody has painted anything there"
    with (own_folder / "atlas/sign.exr").open("ab") as file:
        file.write(b"paint")
    assert holds_result(own_folder)


def test_a_result_belongs_to_its_clip_its_range_and_its_objects(demo: DemoClip, own_folder: Path) -> None:
    for clip in (demo.frames, demo.frames / "demo.####.png", demo.frames / "demo.0001.png"):
        assert belongs(own_folder, clip, 1, 8, ["sign"])
    assert belongs(own_folder, demo.frames, 1, 8)
    assert not belongs(own_folder, demo.frames, 1, 4, ["sign"])
    assert not belongs(own_folder, demo.frames, 1, 8, ["car"])
    assert not belongs(own_folder, demo.masks["sign"], 1, 8, ["sign"])
    assert not belongs(own_folder.with_name("nowhere"), demo.frames, 1, 8)


def test_corrected_masks_are_taken_along(demo: DemoClip, tmp_path: Path) -> None:
    key = f"--mask=sign@1={demo.masks['sign'] / 'sign.0001.png'}"
    run = ("decompose", demo.frames, key, "--preset=preview", "--frames=1-3", "-o", tmp_path / "out")
    assert nvd(*run).returncode == 0
    corrected = tmp_path / "out/masks/sign/sign.0002.png"
    shutil.copyfile(demo.masks["sign"] / "sign.0002.png", corrected)
    before = tree(tmp_path / "out")
    done = nvd(*run)
    assert done.returncode == 0, done.stderr
    new = tmp_path / "out_v002"
    assert "Masks that you have corrected are taken along from out" in done.stderr
    assert tree(tmp_path / "out") == before
    assert (new / "masks/sign/sign.0002.png").read_bytes() == corrected.read_bytes()
    assert (new / "masks/sign/sign.0003.png").read_bytes() != (tmp_path / "out/masks/sign/sign.0003.png").read_bytes()
    assert nvd(*run, "--replace").returncode == 0
    assert differing(tree(tmp_path / "out/masks"), tree(new / "masks")) == []
    assert read_manifest(tmp_path / "out").masks == ({"name": "sign", "path": "masks/sign"},)


def test_masks_of_another_clip_are_not_taken_along(demo: DemoClip, tmp_path: Path) -> None:
    key = MaskSource.of(name="sign", path=str(demo.masks["sign"] / "sign.0001.png"), frame=1)
    job = replace(job_of(demo, frames="1-2"), masks=(key,))
    solve(job, tmp_path / "out")
    (tmp_path / "out/masks/sign/sign.0002.png").write_bytes((demo.masks["sign"] / "sign.0008.png").read_bytes())
    other = sliding(tmp_path / "pan", 2, Size(200, 112))
    events = solve(replace(job, clip=str(other)), tmp_path / "out_v002")
    assert not [event for event in events if isinstance(event, Caution) and "corrected" in event.message]
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match="masks of another clip that you have corrected"):
        solve(replace(job, clip=str(other)), tmp_path / "out", replaces=True)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("change", "said"),
    [("mask", "A mask is not as it was"), ("setting", "A setting is not as it was"), ("nothing", "")],
)
def test_resume_says_why_it_begins_anew(change: str, said: str, demo: DemoClip, tmp_path: Path) -> None:
    mask = Path(shutil.copytree(demo.masks["sign"], tmp_path / "sign"))
    job = replace(job_of(demo, frames="1-2"), masks=(MaskSource.of(name="sign", path=str(mask)),))
    stop(partial(decompose, job, tmp_path / "out"), lambda event: event == Stage(name="map", layer="background"))
    if change == "mask":
        shutil.copyfile(mask / "sign.0004.png", mask / "sign.0001.png")
    if change == "setting":
        job = replace(job, settings=replace(job.settings, residual="fidelity"))
    cautions = [event for event in solve(job, tmp_path / "out", resume=True) if isinstance(event, Caution)]
    assert [one.message[: len(said)] for one in cautions if "anew" in one.hint] == [said][: bool(said)]


def test_a_replacement_that_is_cancelled_leaves_the_result_as_it_was(demo: DemoClip, own_folder: Path) -> None:
    before = tree(own_folder)
    job = job_of(demo, frames="1-2")
    stop(partial(decompose, job, own_folder, replaces=True), lambda event: event == Stage(name="report"))
    assert {name: data for name, data in tree(own_folder).items() if name in before} == before
    with pytest.raises(InputError, match="holds demo, frames 1-8"):  # of another job
        solve(job_of(demo, frames="3-4"), own_folder, resume=True)
    solve(job, own_folder, resume=True)
    assert read_manifest(own_folder).source.numbers == range(1, 3)


def test_a_result_that_was_whole_when_the_process_died_is_not_lost_to_another_job(
    demo: DemoClip, tmp_path: Path
) -> None:
    dies = "import os; from nvd_core import pipeline; pipeline.hand_over = lambda *_: os._exit(9); "
    program = dies + "import sys; from nvd_core.__main__ import main; sys.exit(main())"
    run = command("decompose", *flags_of(demo), "--frames=1-2", "-o", tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", program, *run[3:]], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 9
    assert (tmp_path / "out/checkpoint/result/manifest.json").is_file()
    solve(job_of(demo, frames="3-4"), tmp_path / "out_v002")
    assert holds_result(tmp_path / "out")
    with pytest.raises(InputError, match="holds demo, frames 1-2"):
        solve(job_of(demo, frames="3-4"), tmp_path / "out")
    solve(job_of(demo, frames="1-2"), tmp_path / "out", resume=True)
    assert read_manifest(tmp_path / "out").source.numbers == range(1, 3)


def newer(staged: Path) -> None:
    change = json.loads((staged / "manifest.json").read_text())
    (staged / "manifest.json").write_text(json.dumps(change | {"schema_version": 2}))


def without_metrics(staged: Path) -> None:
    change = json.loads((staged / "manifest.json").read_text())
    (staged / "manifest.json").write_text(json.dumps(change | {"metrics": {}}))


DAMAGES = {
    "cut off": lambda staged: (staged / "manifest.json").write_text('{"name": "demo", '),
    "newer": newer,
    "without metrics": without_metrics,
    "without facts": lambda staged: (staged / "report" / "report.json").write_text("["),
    "without an atlas": lambda staged: (staged / "atlas" / "sign.orig.exr").unlink(),
}


@pytest.fixture(scope="module")
def whole_when_killed(demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose first result is whole, but not in its place."""
    folder = tmp_path_factory.mktemp("killed") / "out"
    whole = folder / "checkpoint/result/manifest.json"
    stop(partial(decompose, job_of(demo, frames="1-2"), folder), lambda _: whole.is_file())
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_that_was_not_in_its_place_yet_blocks_no_folder(
    damage: str, demo: DemoClip, whole_when_killed: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole_when_killed, tmp_path / "out"))
    (folder / "atlas").mkdir()
    (folder / "atlas/sign.exr").write_bytes(b"painted")
    DAMAGES[damage](folder / "checkpoint/result")
    before = tree(folder)
    for other in (job_of(demo, frames="3-4"), job_of(demo, residual="fidelity")):
        with pytest.raises(InputError, match="to be put in its place, and cannot be") as refused:
            solve(other, folder, replaces=True)
        assert "--resume" in refused.value.hint
        assert "out_v002" in refused.value.hint
        assert tree(folder) == before
    events = solve(job_of(demo, frames="1-2"), folder, resume=True)
    assert [one for one in events if isinstance(one, Caution) and one.hint == "It is made again."]
    assert read_manifest(folder).source.numbers == range(1, 3)
    assert (folder / "atlas/sign.exr").read_bytes() == b"painted"
    assert not (folder / "checkpoint").exists()


def test_a_folder_is_not_written_over_what_it_is_made_from(demo: DemoClip, own_folder: Path) -> None:
    before = tree(own_folder)
    job = replace(job_of(demo), clip=str(own_folder / "frames"))
    with pytest.raises(InputError, match="written over what it is made from"):
        solve(job, own_folder, replaces=True)
    assert tree(own_folder) == before


def test_what_is_refused_leaves_nothing_behind(demo: DemoClip, tmp_path: Path) -> None:
    write_png(tmp_path / "dot.png", np.dstack([disc((20, 20), 1, Size(200, 112))] * 3))
    for path, frame in ((tmp_path / "dot.png", 1), (demo.masks["sign"] / "sign.0001.png", 9)):
        key = MaskSource.of(name="b", path=str(path), frame=frame)
        with pytest.raises(InputError):
            solve(replace(job_of(demo, frames="1-2"), masks=(key,)), tmp_path / "out")
        assert list(tmp_path.iterdir()) == [tmp_path / "dot.png"]


def test_notes_of_masks_that_were_finished_do_not_stay(demo: DemoClip, tmp_path: Path) -> None:
    key = MaskSource.of(name="sign", path=str(demo.masks["sign"] / "sign.0001.png"), frame=1)
    job = replace(job_of(demo, frames="1-2"), masks=(key,))
    stop(partial(decompose, job, tmp_path / "out"), lambda event: event == Stage(name="solve"))
    (tmp_path / "out/masks/written.txt").write_text("0 sign/sign.0001.png\n")  # killed between two lines
    solve(job, tmp_path / "out", resume=True)
    assert not (tmp_path / "out/masks/written.txt").exists()


@pytest.mark.parametrize(
    ("clip", "mask", "settings"),
    [
        ("shot", "masks", {}),
        ("shot.####.png", "masks/m.####.png", {}),
        ("shot.mov", "alpha", {"flow": "flow/f.####.exr"}),
        ("shot.mov", "clicks:4,4", {"flow": "raft:weights.pth", "carry": "sam2:models/sam"}),
        ("shot.mov", "", {"find": "maskrcnn:models/m.pth"}),
    ],
)
def test_a_job_is_the_same_from_wherever_its_files_are_named(
    clip: str, mask: str, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(*to: str) -> Job:
        def named(text: str) -> str:
            word, colon, rest = text.partition(":")
            return text if text in {"alpha", "clicks:4,4"} else word + colon + "/".join([*to, rest]) if colon else (
                "/".join([*to, text])
            )  # fmt: skip

        masks = [MaskSource.of(name="sign", path=named(mask), frame=3 if ":" in mask else None)] if mask else []
        there = {name: named(value) for name, value in settings.items()}
        return Job(clip=named(clip), masks=tuple(masks), settings=Settings.of(**there))

    (tmp_path / "deeper").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    RunRecord.of(job(), tmp_path / "out", resume=False, replaces=False).write(tmp_path / "out")
    elsewhere = asked(job("elsewhere"))
    monkeypatch.chdir(tmp_path / "deeper")
    for same in (job(".."), job(str(tmp_path)), job(f"{tmp_path}/./out/..")):
        assert RunRecord.of(same, tmp_path / "out", resume=True, replaces=False).is_taken_up
        assert unfinished_version(tmp_path / "out", asked(same)) == tmp_path / "out"
    assert elsewhere not in {asked(job()), asked(job(".."))}


@pytest.mark.parametrize("name", ["CON", "nul", "Lpt1", "com9", "Aux", "prn"])
def test_names_that_windows_takes_for_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="Windows has a device of that name"):
        check_names(["sign", name])
    check_names(["console", "com", "null", "com10", spelled(name)])


def test_resume_goes_on_in_the_version_that_is_unfinished(demo: DemoClip, own_folder: Path) -> None:
    before, new = tree(own_folder), own_folder.with_name("own_v002")
    stop(partial(decompose, job_of(demo), new), lambda event: event == Stage(name="map", layer="background"))
    assert unfinished_version(own_folder) == new
    assert unfinished_version(own_folder, asked(job_of(demo, frames="3-4"))) is None
    done = nvd("decompose", *flags_of(demo), "-o", own_folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert "anew" not in done.stderr
    assert tree(own_folder) == before
    assert differing(results(new), results(own_folder)) == []


def test_an_earlier_result_is_not_written_over_by_the_library_either(demo: DemoClip, own_folder: Path) -> None:
    before = tree(own_folder)
    with pytest.raises(InputError, match="holds demo, frames 1-8"):
        solve(job_of(demo), own_folder)
    moved = Path(shutil.move(own_folder, own_folder.with_name("elsewhere")))
    assert tree(moved) == before
