"""What a job leaves on disk, so that the next Blender finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import extension_module

from nvd_core.spec.errors import InputError

records = extension_module("source.records")
resource = pytest.importorskip("resource", reason="Windows cannot limit the size of files")


def open_files() -> int:
    return len(list(Path("/dev/fd" if sys.platform == "darwin" else "/proc/self/fd").iterdir()))


def test_no_room_for_a_record_leaves_neither_file_nor_lock(tmp_path: Path) -> None:
    before, (_, most) = open_files(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))  # the job goes in, its record with the long name does not
    try:
        with pytest.raises(InputError, match="disk is full"):
            records.leave(tmp_path, "long" * 100, tmp_path / "out", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_masks_are_kept_until_others_are_written(tmp_path: Path) -> None:
    def fill(place: Path) -> None:
        for name in ("masks.blend", "masks.json"):
            (place / name).write_text(place.name)

    def fill_badly(place: Path) -> None:
        fill(place)
        raise InputError("The disk is full")

    record = records.leave(tmp_path, "shot", tmp_path / "out", {"clip": "a", "masks": []}, fill)
    (record.place / "mattes" / "0").mkdir(parents=True)
    before = {path.name for path in record.place.iterdir()}
    with pytest.raises(InputError, match="disk is full"):
        record.renew([{"name": "sign"}], fill_badly)
    assert {path.name for path in record.place.iterdir()} == before
    assert (record.job["masks"], (record.place / "masks.blend").read_text()) == ([], record.place.name)
    record.renew([{"name": "sign"}], fill)
    assert {path.name for path in record.place.iterdir()} == before - {"mattes"}
    assert record.job == {"clip": "a", "masks": [{"name": "sign"}]}
    assert (record.place / "masks.blend").read_text() != record.place.name
    record.renew([], lambda _: None)
    assert {path.name for path in record.place.iterdir()} == {"job.json", "lock", "record.json"}
    record.remove()


def test_a_record_says_how_far_its_job_came(tmp_path: Path) -> None:
    record = records.leave(tmp_path, "shot", tmp_path / "out", {})
    assert record.told == "It was waiting in the queue."
    record.log.touch()
    assert record.told == "It was cut off before anything was finished."
    (tmp_path / "out" / "checkpoint").mkdir(parents=True)
    assert record.told == "It was cut off. What is finished of it is kept."
    (tmp_path / "out" / "checkpoint").rmdir()
    (tmp_path / "out" / "manifest.json").touch()
    assert record.told == "It is finished, but not loaded."
    record.settle("Why.")
    assert record.told == "Why."
    record.remove()
