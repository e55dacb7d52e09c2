"""What lies where a result goes and is not this job's: other programs' folders, other strips' and other jobs' masks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import job_of, solve, tree

from nvd_core.faces.demo_clip import DemoClip
from nvd_core.spec.errors import InputError, shown
from nvd_core.spec.mask_record import Record, forget_masks
from nvd_core.spec.versions import former_version, next_version


@pytest.mark.parametrize("theirs", ["checkpoint/model.pt", "manifest.json", "checkpoint/manifest.json"])
def test_what_other_programs_call_as_we_do_is_not_ours(theirs: str, demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "theirs" / theirs).parent.mkdir(parents=True)
    (tmp_path / "theirs" / theirs).write_text('{"name": "app"}')
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"something else|damaged|holds a result"):
        solve(job_of(demo), tmp_path / "theirs", resume=True)
    assert tree(tmp_path) == before


def test_what_file_managers_leave_does_not_occupy_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_bytes(b"\0")
    assert next_version(tmp_path / "out") == tmp_path / "out"


def test_the_former_version_is_of_the_same_frames_and_objects(own_folder: Path) -> None:
    manifest = json.loads((own_folder / "manifest.json").read_text())
    clip, numbers = Path(manifest["source"]["path"]), range(manifest["source"]["first"], manifest["source"]["last"] + 1)
    for number, edit in ((2, {"last": numbers[-2]}), (3, {})):
        other = own_folder.with_name(f"{own_folder.name}_v{number:03d}")
        other.mkdir()
        (other / "manifest.json").write_text(json.dumps(manifest | {"source": manifest["source"] | edit}))
    new = own_folder.with_name(f"{own_folder.name}_v004")
    assert former_version(new, clip, numbers, ["sign"]) == own_folder.with_name(f"{own_folder.name}_v003")
    assert former_version(new, clip, numbers[:-1], ["sign"]) == own_folder.with_name(f"{own_folder.name}_v002")
    assert former_version(new, clip, numbers, ["dog"]) is None


def test_masks_of_an_unfinished_job_are_not_another_ones(tmp_path: Path) -> None:
    record = Record(tmp_path / "masks", layers=("car",))
    record.begin()
    record.put("car/car.0001.png", b"made")
    forget_masks(record.folder)
    assert not record.folder.exists()
    record = Record(tmp_path / "masks", layers=("car",))
    record.begin()
    record.put("car/car.0001.png", b"made")
    (record.folder / "car/car.0001.png").write_bytes(b"painted")
    with pytest.raises(InputError, match="corrected"):
        forget_masks(record.folder)
    assert (record.folder / "car/car.0001.png").read_bytes() == b"painted"


def test_what_was_painted_of_other_frames_stays_known(tmp_path: Path) -> None:
    mine, made = Record(tmp_path / "mine", layers=("car",)), Record(tmp_path / "made", layers=("car",), asked="a")
    for record, name in ((mine, "car/car.0001.png"), (made, "car/car.0002.png")):
        record.begin()
        record.put(name, b"made")
    (mine.folder / "car/car.0001.png").write_bytes(b"painted")
    Record(made.folder, asked="a", layers=("car",), files={"car/car.0002.png": "x"}).write()
    Record.read(mine.folder).adopt(Record.read(made.folder))
    assert Record.read(mine.folder).painted()["car"].keys() >= {1}


def test_spaces_of_other_languages_are_shown_as_they_are() -> None:
    assert shown("Screen\u202fRecording\u3000\xa01.mov\x1b") == "Screen\u202fRecording\u3000\xa01.mov\\x1b"
