"""The command line: usage errors, data and talk, and jobs from files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from annotated_types import DocInfo
from support import job_of, nvd, sliding

from nvd_core.__main__ import main
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.job_files import check_settings, parse_mask, read_job
from nvd_core.spec.errors import UsageError
from nvd_core.spec.settings import Job, MaskSource, Settings


def ran(
    arguments: list[object], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process."""
    monkeypatch.setattr(sys, "argv", ["nvd", *map(str, arguments)])
    capfd.readouterr()
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["decompose"],
        ["decompose", "clip", "--colour=red"],
        ["decompose", "clip", "--height=63"],
        ["decompose", "clip", "--height=4321"],
        ["decompose", "clip", "--height=90.5"],
        ["decompose", "clip", "--height=tall"],
        ["decompose", "clip", "--fps=0"],
        ["decompose", "clip", "--fps=nan"],
        ["decompose", "clip", "--fps=inf"],
        ["decompose", "clip", "--preset=fast"],
        ["decompose", "clip", "--solver=magic"],
        ["decompose", "clip", "--steps=0"],
        ["decompose", "clip", "--batch=15"],
        ["decompose", "clip", "--seed=-1"],
        ["decompose", "clip", "--budget-s=0"],
        ["decompose", "clip", "--target-psnr=100"],
        ["decompose", "clip", "--device=tpu"],
        ["decompose", "clip", "--mask=nameless"],
        ["decompose", "clip", "--mask==path"],
        ["decompose", "clip", "--mask=name="],
        ["decompose", "--job", "nowhere.toml"],
        ["render", "folder"],
        ["export", "folder"],
        ["worker", "job.json"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_exits_with_2_and_says_why(arguments, capfd, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    done = ran(arguments, capfd, monkeypatch)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["render", "score", "export"])
def test_a_folder_that_is_no_decomposition_is_refused(command, capfd, monkeypatch, tmp_path) -> None:
    flags = {"render": ["-o", tmp_path / "out"], "export": ["--stmap"], "score": []}[command]
    done = ran([command, tmp_path, *flags], capfd, monkeypatch)
    assert done.returncode == 3
    assert "The folder is no decomposition" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_decomposition_says_how_to_go_on(capfd, monkeypatch, tmp_path) -> None:
    (tmp_path / "checkpoint").mkdir()
    done = ran(["score", tmp_path], capfd, monkeypatch)
    assert done.returncode == 3
    assert "--resume" in done.stderr


def test_data_goes_to_standard_output_and_nothing_else_does(demo: DemoClip, tmp_path: Path) -> None:
    done = nvd("decompose", sliding(tmp_path / "clip", 2), "--preset=preview", "--json", "-o", tmp_path / "out")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["folder"] == str(tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {key: data[key] for key in stored} == stored
    quiet = nvd("decompose", tmp_path / "clip", "--preset=preview", "-o", tmp_path / "quiet")
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert "contact_sheet.png" in quiet.stderr


def test_what_it_may_take_is_told_once_before_masks_are_found(tmp_path: Path) -> None:
    clip, on_terminal = sliding(tmp_path / "clip", 2), os.environ | {"FORCE_COLOR": "1", "COLUMNS": "200"}
    done = nvd("decompose", clip, "--preset=preview", "-o", tmp_path / "out", env=on_terminal)
    assert done.returncode == 0, done.stderr
    before, told, after = done.stderr.partition("It may take")
    assert told
    assert "It may take" not in after
    assert ("No mask is given" in before, "No mask is given" in after) == (False, True)


def test_score_measures_what_was_stored(solved_folder: Path, capfd, monkeypatch) -> None:
    done = ran(["score", solved_folder, "--json"], capfd, monkeypatch)
    assert json.loads(done.stdout) == json.loads((solved_folder / "manifest.json").read_text())["metrics"]
    done = ran(["score", solved_folder], capfd, monkeypatch)
    assert "| sign |" in done.stdout


def test_doctor_finds_what_is_installed_here() -> None:
    done = nvd("doctor", "--json")
    findings = {finding["what"]: finding["state"] for finding in json.loads(done.stdout)}
    assert done.returncode == 0
    assert findings["numpy"] == findings["OpenEXR"] == "ok"
    assert "numpy" in nvd("doctor").stdout


def test_without_its_packages_it_says_so(tmp_path: Path) -> None:
    """Only the standard library and the sources: as on a machine where nothing was installed yet."""
    root = Path(__file__).parents[2]
    bare = [sys.executable, "-S", "-m", "nvd_core"]
    for arguments, code in ((["decompose", "clip"], 4), (["doctor"], 4)):
        done = subprocess.run([*bare, *arguments], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
    assert "missing" in done.stdout


TOML = """
clip = "clip/frames"
masks = [{ name = "sign", path = "clip/masks" }, { name = "post", path = "/elsewhere/post.png" }]

[settings]
preset = "preview"
residual = "fidelity"
frames = "3-9"
height = 200
fps = 25.0
"""


def test_a_job_file_says_the_same_as_flags(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(TOML)
    job = read_job(tmp_path / "job.toml")
    flags = {"preset": "preview", "residual": "fidelity", "frames": "3-9", "height": 200, "fps": 25.0}
    masks = tuple(map(parse_mask, (f"sign={tmp_path}/clip/masks", "post=/elsewhere/post.png")))
    assert job == Job(clip=f"{tmp_path}/clip/frames", masks=masks, settings=Settings.of(**flags))
    assert check_settings(flags) == job.settings


def test_a_job_file_and_flags_give_the_same_manifest(demo: DemoClip, tmp_path: Path) -> None:
    from support import flags_of, without_place

    masks = ", ".join(f'{{ name = "{name}", path = "{path}" }}' for name, path in demo.masks.items())
    (tmp_path / "job.toml").write_text(
        f'clip = "{demo.frames}"\nmasks = [{masks}]\nsettings = {{ preset = "standard", frames = "2-3" }}\n'
    )
    # The preset on the command line is stronger than the job's; its range stays.
    by_job = nvd("decompose", "--job", tmp_path / "job.toml", "--preset=preview", "-o", tmp_path / "a")
    by_flags = nvd("decompose", *flags_of(demo), "--frames=2-3", "-o", tmp_path / "b")
    assert by_job.returncode == by_flags.returncode == 0
    one, other = (without_place((tmp_path / name / "manifest.json").read_bytes()) for name in "ab")
    assert one == other


def test_a_flag_is_stronger_than_the_job_also_where_it_says_the_default(demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        f'clip = "{demo.frames}"\nsettings = {{ preset = "preview", residual = "fidelity", frames = "2" }}\n'
    )
    done = nvd("decompose", "--job", tmp_path / "job.toml", "--residual=editing", "--json", "-o", tmp_path / "out")
    settings = json.loads(done.stdout)["settings"]
    assert (settings["residual"], settings["preset"], settings["frames"]) == ("editing", "preview", "2")


def test_a_job_file_of_another_program_is_still_held_to_what_that_shows(
    demo: DemoClip, capfd, monkeypatch, tmp_path: Path
) -> None:
    (tmp_path / "job.toml").write_text(f'clip = "{demo.frames}"\nshown = {{ width = 300, height = 200 }}\n')
    done = ran(["decompose", "--job", tmp_path / "job.toml", "-o", tmp_path / "out"], capfd, monkeypatch)
    assert done.returncode == 3
    assert "is shown as 300x200" in done.stderr


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('clip = "a"\ncolour = 1', "colour"),
        ('clip = "a"\n[settings]\npresett = "final"', "settings.presett"),
        ('clip = "a"\n[settings]\npreset = "fast"', "settings.preset"),
        ('clip = "a"\n[settings]\nheight = 5', "settings.height"),
        ('clip = "a"\n[settings]\nheight = 90.5', "settings.height"),
        ('clip = "a"\n[settings]\nheight = "90"', "settings.height"),
        ('clip = "a"\n[settings]\nfps = 0', "settings.fps"),
        ('clip = "a"\nmasks = [{ name = "x" }]', "masks.0.path"),
        ('clip = "a"\nmasks = [{ name = "x", path = "y", invert = true }]', "masks.0.invert"),
        ('clip = 1', "clip"),
        ('masks = [{ name = "x", path = "" }]', "masks.0.path"),
    ],
)  # fmt: skip
def test_a_job_that_says_something_else_is_refused_with_its_path(text: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(text)
    with pytest.raises(UsageError) as refusal:
        read_job(tmp_path / "job.toml")
    assert refusal.value.message.startswith(f"{path}: ")
    assert refusal.value.where == str(tmp_path / "job.toml")


def test_marks_in_a_job_are_of_a_frame(demo: DemoClip, tmp_path: Path) -> None:
    marks = '[[masks]]\nname = "sign"\npath = "box:10,10,60,60"\n'
    (tmp_path / "job.toml").write_text(f'clip = "{demo.frames}"\n{marks}')
    done = nvd("decompose", f"--job={tmp_path / 'job.toml'}", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("nvd: The marks of sign are of no frame")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"clip = ", b"\xff\xfe", b"clip = 1979-05-27", b"[a]\n[a]"])
def test_a_job_that_is_no_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_bytes(content)
    with pytest.raises(UsageError):
        read_job(tmp_path / "job.toml")


def test_the_help_of_every_setting_is_its_own_text(capfd, monkeypatch) -> None:
    from dataclasses import fields
    from typing import get_type_hints

    done = ran(["decompose", "--help"], capfd, monkeypatch)
    assert done.returncode == 0
    shown = "".join(done.stdout.split())
    for field in fields(Settings):
        notes = get_type_hints(Settings, include_extras=True)[field.name].__metadata__
        (said,) = [one.documentation for one in notes if isinstance(one, DocInfo)]
        assert f"--{field.name.replace('_', '-')}" in shown
        assert "".join(said.split())[:30] in shown.replace("│", "")


@pytest.mark.parametrize(
    ("masks", "words"),
    [
        ((("a", "one.png", 4), ("b", "one.png", 4), ("a", "box:1,1,9,9", 4)), "mask of a for frame 4 is given twice"),
        ((("a", "alpha", 4),), "mask of a for frame 4 is alpha"),
        ((("a", "one.png", 4, 7),), "mask of a for frame 4 has first, too"),
    ],
)
def test_masks_of_single_frames_of_which_something_would_be_ignored_are_refused(
    masks: tuple[tuple[str, str, int]], words: str, tmp_path: Path, capfd, monkeypatch
) -> None:
    said = [dict(zip(("name", "path", "frame", "first"), mask, strict=False)) for mask in masks]
    (tmp_path / "job.json").write_text(json.dumps({"clip": "clip", "masks": said}))
    with pytest.raises(UsageError, match=words):
        read_job(tmp_path / "job.json")
    if "first" not in words:  # which the command line does not know
        flags = [f"--mask={name}@{frame}={path}" for name, path, frame, *_ in masks]
        done = ran(["decompose", "clip", *flags], capfd, monkeypatch)
        assert done.returncode == 2
        assert words in done.stderr


def test_masks_keep_the_equals_signs_of_their_path() -> None:
    assert parse_mask("a=b=c") == MaskSource.of(name="a", path="b=c")


def test_what_the_manifest_stores_makes_the_same_job_again(demo: DemoClip, solved_folder: Path) -> None:
    manifest = json.loads((solved_folder / "manifest.json").read_text())
    masks = tuple(MaskSource.of(**mask) for mask in manifest["masks"])
    again = Job(clip=manifest["source"]["path"], masks=masks, settings=check_settings(manifest["settings"]))
    assert again == job_of(demo)
