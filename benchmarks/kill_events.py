"""Ending a process at every single thing that it does to files.

A job is run in a fork of this process, in which everything is imported already. Before its n-th file event it ends as
by SIGKILL: nothing is cleaned up, nothing is flushed. An event is a file that is opened for writing, flushed to disk,
renamed, linked or deleted, or a folder that is made or removed. Then the job is taken up again in another fork.

Of most interest is the handover, in which a result takes the place of a former one, file by file. It is ended by itself
in seconds: the job is run up to there once.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import OpenEXR

import nvd_core.lattice.solve  # noqa: F401 (a job imports it when it comes to it)
from nvd_core.clip.pictures import read_rgb
from nvd_core.export.exporters import run_exporter
from nvd_core.faces.demo_clip import write_clip
from nvd_core.image.colour import to_linear
from nvd_core.image.exr import rgba_channels, write_exr
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LOCK
from nvd_core.spec.settings import Job, MaskSource, Settings

EVENTS = ("unpainted", "painted", "corrected", "new", "export", "overscan")
"""Names of the cases."""

VARIES = ("report/report.json", "events.jsonl", "film.mp4")
"""The first two say how long the job took. Of the last, x264 makes other bytes of the same frames now and then, also
undisturbed and with one thread (measured): it must be there, and nothing beside it."""

_RESULT = ("atlas", "channels", "frames", "manifest.json", "masks", "plate", "report", "solution")
"""Begins of names that nothing but the handover writes to: all else that a job does is in its checkpoint."""

_KILLED, _DONE, _REFUSED = 77, 0, 3
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


@dataclass(frozen=True)
class Case:
    """What is ended.

    Attributes:
        before: makes what is there at first, in a folder.
        run: the job.
        again: the job taken up; refused where nothing of it is noted yet.
        sacred: files that must stay the same bytes at all times.
        former: begins of names of the former result, which stay as they are as long as its manifest does.
    """

    before: Callable[[Path], object]
    run: Callable[[Path], object]
    again: Callable[[Path], object]
    sacred: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


def cases(place: Path) -> dict[str, Case]:
    """The jobs; their clip is made beside them."""
    clip = place / "clip"
    forked(lambda: write_clip(clip, 3, Size(96, 64)))
    forked(lambda: write_with_overscan(clip / "frames", place / "overscan"))
    frames = str(clip / "frames")
    masks = (MaskSource.of(name="sign", path=str(clip / "masks/sign")),)
    key = (MaskSource.of(name="sign", path=str(clip / "masks/sign/sign.0001.png"), frame=1),)
    first = Job(clip=frames, masks=masks, settings=Settings(preset="preview"))
    other = Job(clip=frames, masks=masks, settings=Settings.of(preset="preview", residual="fidelity", frames="1-2"))
    carried = Job(clip=frames, masks=key, settings=Settings(preset="preview"))
    wide, other_wide = (replace(job, clip=str(place / "overscan")) for job in (first, other))

    def over(old: Job, new: Job, paint: Callable[[Path], object], *sacred: str) -> Case:
        former = ("frames", "plate", "channels", "atlas", "report", "solution", "manifest")
        before = lambda folder: (decompose(old, folder), paint(folder))  # noqa: E731
        run = partial(decompose, new, replaces=True)
        return Case(before, run, partial(decompose, new, resume=True), sacred, former)

    def export(folder: Path) -> None:
        for _ in run_exporter(Decomposition.open(folder), "stmap"):
            pass

    return {
        "unpainted": over(first, other, lambda _: None),
        "painted": over(first, other, paint_atlas, "atlas/sign.exr", "atlas/sign.orig.exr"),
        "corrected": over(carried, carried, paint_mask, "masks/sign/sign.0002.png"),
        "new": Case(lambda _: None, partial(decompose, first), partial(decompose, first, resume=True)),
        "overscan": over(wide, other_wide, lambda _: None),
        "export": Case(partial(decompose, first), export, export),
    }  # fmt: skip


def ends(
    place: Path, name: str, stride: int = 1, first: int = 1, *, handover: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """End a case before every event, or every so many; what is wrong after each is yielded.

    Args:
        place: an empty folder.
        name: of the case.
        stride: so many events are between two ends.
        first: event of the first end.
        handover: end it there only.
    """
    case, folder, start = cases(place)[name], place / "out", place / "start"
    folder.mkdir()
    _undisturbed(lambda: case.before(folder))
    folder.rename(start)
    shutil.copytree(start, folder)
    _undisturbed(lambda: case.run(folder))
    former, expected = files(start), files(folder)
    number, run, counted = first, case.run, [folder]
    if handover:
        run, counted = case.again, [folder / name for name in _RESULT]
        shutil.rmtree(folder)
        shutil.copytree(start, folder)
        if (code := forked(lambda: case.run(folder), counted, 1)) != _KILLED:
            raise AssertionError(f"it ended with {code} before its result was put in its place")
        shutil.rmtree(start)
        folder.rename(start)
        folder.mkdir()
    while True:
        shutil.rmtree(folder)
        shutil.copytree(start, folder)
        code = forked(lambda: run(folder), counted, number)
        if code == _DONE:
            return
        faults = [] if code == _KILLED else [f"it ended with {code}"]
        after = files(folder)
        kept = case.sacred
        if former.get("manifest.json") and after.get("manifest.json") == former["manifest.json"]:
            kept += tuple(one for one in former if one.startswith(case.former))
        faults += [f"the kill changed {one}" for one in kept if after.get(one) != former[one]]
        if forked(lambda: case.again(folder)) == _REFUSED:
            refused = files(folder)
            faults += [f"the beginning changed {one}" for one in after if refused.get(one) != after[one]]
            is_done = refused == expected  # nothing was left to do but to unlock the folder
            if not is_done and forked(lambda: case.run(folder)) != _DONE:
                faults.append("it could not be run again")
        now = files(folder)
        faults += [
            f"{one} is other" for one in sorted(now.keys() | expected.keys()) if now.get(one) != expected.get(one)
        ]
        yield number, faults
        number += stride


def _undisturbed(run: Callable[[], object]) -> None:
    if code := forked(run):
        raise AssertionError(f"it could not be finished undisturbed, and ended with {code}")


def files(folder: Path) -> dict[str, bytes]:
    """All files that must be the same, by their relative paths."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    found.pop(LOCK, None)  # the system has released it; whoever writes next takes it over
    return {name: b"" if name in VARIES else path.read_bytes() for name, path in found.items()}


def forked(run: Callable[[], object], places: Collection[Path] = (), number: int = 0) -> int:
    """Run in another process, which ends before the n-th thing that it does to files in places; its exit code."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        if places:
            _end_before(number, tuple(map(str, places)))
        run()
    except InputError as error:
        print(error, file=sys.stderr)
        os._exit(_REFUSED)
    except BaseException:  # noqa: BLE001 (a fork must not go on with what its parent does)
        traceback.print_exc()
        os._exit(1)
    os._exit(_DONE)


def _end_before(number: int, places: tuple[str, ...]) -> None:
    left = number

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(_KILLED)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        writes = event in _CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3)
        paths = [os.fsdecode(one) for one in arguments[:2] if isinstance(one, (str, bytes, os.PathLike))]
        if writes and any(path.startswith(places) for path in paths):
            count()

    def fsync(file: int, flush: Callable[[int], None] = os.fsync) -> None:
        if os.path.realpath(f"/dev/fd/{file}").startswith(places):
            count()
        flush(file)

    os.fsync = fsync
    sys.addaudithook(hook)


def write_with_overscan(frames: Path, folder: Path) -> None:
    """Write a clip as EXRs that hold more than its frames, of which results have copies."""
    folder.mkdir()
    for path in frames.iterdir():
        picture = to_linear(np.pad(read_rgb(path), ((2, 2), (3, 3), (0, 0)))).astype(np.float16)
        height, width, _ = picture.shape
        windows = {"dataWindow": (-3, -2, width - 4, height - 3), "displayWindow": (0, 0, width - 7, height - 5)}
        header = {name: (np.array(box[:2], np.int32), np.array(box[2:], np.int32)) for name, box in windows.items()}
        channels = {name: picture[..., index].copy() for index, name in enumerate("RGB")}
        OpenEXR.File({"type": OpenEXR.scanlineimage} | header, channels).write(str(folder / f"{path.stem}.exr"))


def paint_atlas(folder: Path) -> None:
    """Paint on the sign, as an artist does: its file is saved over."""
    decomposition = Decomposition.open(folder)
    picture = np.dstack([decomposition.original("sign"), decomposition.covered("sign")]).astype(np.float16)
    picture[4:12, 4:12, :3] = (1, 0, 0)
    write_exr(folder / "atlas/sign.exr", rgba_channels(picture))


def paint_mask(folder: Path) -> None:
    """Correct the mask of the second frame: the first one's does for that."""
    shutil.copyfile(folder / "masks/sign/sign.0003.png", folder / "masks/sign/sign.0002.png")
