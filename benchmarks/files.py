"""What is read of a folder's pictures and films, beside what OpenImageIO reads and what Blender shows of them.

    python benchmarks/files.py FOLDER [--blender PYTHON ...] [--keep FOLDER] [--table FILE.md]

FOLDER holds files of any kind, such as other projects' test files; a folder in it stands for a project. Those whose
names end as clips' do are read. PYTHON is one that has ``bpy`` and ``annotated_types``. Every file is the same picture
for all, or refused in a sentence by us; all else is a fault. The table counts, and names what is not the same for all.
Of a film the first frame is compared, and the eighth if there is one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import OpenImageIO as oiio  # noqa: N813 (as its manual has it)

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import SUFFIXES
from nvd_core.export.plates import need_copies, write_copies
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import copy_path

ROOT: Final = Path(__file__).resolve().parents[1]
FILMS: Final = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".gif")
MOST_PIXELS: Final = 6_000_000
"""Of what is compared."""

LEAST_SHOWN_PX: Final = 4
"""No render of Blender's is smaller."""

ALIKE: Final = 0.01
"""Of 255; films are compared as they are rendered, rounded to one."""


class Seen(NamedTuple):
    """One program's view of a file.

    Attributes:
        frames: RGB, 1 = white where they are whole numbers.
        said: why there are none; of ours, or why they are refused in Blender.
    """

    frames: list[np.ndarray]
    said: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blender", nargs="*", default=[], type=Path)
    parser.add_argument("--keep", type=Path, help="A folder for what Blender shows, which takes long; used again.")
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    files = [
        path for path in sorted(options.folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES + FILMS and path.is_file()
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        loaded = [_loaded(path, (options.keep or Path(place)) / "copies" / str(i)) for i, path in enumerate(files)]
        outs = [(options.keep or Path(place)) / python.absolute().parents[1].name for python in options.blender]
        blenders = [_show(python, loaded, out) for python, out in zip(options.blender, outs, strict=True)]
        columns, rows = ["ours", "OpenImageIO", *blenders], []
        for index, path in enumerate(files):
            own, others = _ours(path), [_openimageio(path), *(_blender(out, index) for out in outs)]
            beside = [_beside(own, other, path) for other in others]
            rows.append([path.relative_to(options.folder).as_posix(), own.said or "read", *beside])
    text = _table(rows, columns)
    print(text)
    if options.table:
        options.table.write_text(text, "utf-8")


def _ours(path: Path) -> Seen:
    try:
        clip = open_clip(path)
        first, count = clip.info.first, clip.info.count
        if clip.info.size.width * clip.info.size.height > MOST_PIXELS:
            return Seen([], "too large to compare")
        if path.suffix.lower() in FILMS and min(clip.info.size) < LEAST_SHOWN_PX:
            return Seen([], "too small to compare")
        frames = [next(iter(clip.frames([first + index]))) for index in (0, 7) if index < count]
    except InputError as error:
        return Seen([], str(error).replace(f" ({path})", "").replace(str(path), ""))
    in_blender = clip.info.unlike or ("" if clip.info.is_even else "The video's frames last unequally long")
    return Seen(
        [one / np.float32(np.iinfo(one.dtype).max) if one.dtype.kind == "u" else one for one in frames], in_blender
    )


def _openimageio(path: Path) -> Seen:
    if path.suffix.lower() in FILMS:
        return Seen([], "-")
    as_stored = oiio.ImageSpec()
    as_stored.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), as_stored)
    if file is None:
        oiio.geterror()
        return Seen([], "does not open")
    spec = file.spec()
    if spec.deep or spec.width * spec.height > MOST_PIXELS:  # read_image would take the process down with a deep one
        return Seen([], "deep" if spec.deep else "too large to compare")
    names = list(spec.channelnames)
    is_rgb = {"R", "G", "B"} <= set(names)
    wanted = [names.index(name) for name in "RGB"] if is_rgb else [0, 1, 2] if spec.nchannels == 3 else [0] * 3
    picture = file.read_image(0, 0, 0, max(wanted) + 1, "uint" if str(spec.format) == "uint" else "float")
    said = file.geterror()  # may be a warning
    if picture is None:
        return Seen([], "damaged: " + said.splitlines()[0].replace(str(path), "")[:80])
    if file.format_name() == "openexr":
        image = oiio.ImageBuf(str(path))
        picture = image.get_pixels("float", image.roi_full)
    return Seen([np.asarray(picture)[..., wanted]])


def _loaded(path: Path, place: Path) -> Path:
    """What the plate of a result reads: the file, or a copy of an EXR's display window."""
    with suppress(InputError):
        info = open_clip(path).info
        if need_copies(info, info.numbers):
            write_copies(info, info.numbers, place, 1)
            return copy_path(place, info.name, info.first)
    return path


def _show(python: Path, files: list[Path], out: Path) -> str:
    """Have a Blender show files into a folder, and say which it is; it is started again when it dies of one."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "files.json").write_text(json.dumps([[str(path.resolve()), *_size(path)] for path in files]))
    session, start = Path(__file__).with_name("files_session.py"), _done(out)
    while start < len(files):
        with (out / "log").open("w") as log:
            subprocess.run([python, session, ROOT, out, str(start)], stdout=log, stderr=log, check=False)
        if _done(out) == start:
            raise RuntimeError((out / "log").read_text()[-2000:])
        start = _done(out)
    return (out / "version").read_text()


def _done(out: Path) -> int:
    return 1 + max((int(one.stem) for one in out.glob("[0-9]*.json")), default=-1)


def _size(path: Path) -> tuple[int, int]:
    file = None if path.suffix.lower() in FILMS else oiio.ImageInput.open(str(path))
    oiio.geterror()
    return (file.spec().width, file.spec().height) if file else (64, 64)


def _blender(out: Path, index: int) -> Seen:
    said = json.loads((out / f"{index}.json").read_text())["said"]
    frames = [np.load(one) for one in sorted(out.glob(f"{index}.*.npy"))]
    return Seen([one / np.float32(255) if one.dtype == np.uint8 else one for one in frames], said)


def _beside(own: Seen, other: Seen, path: Path) -> str:
    """How another program's view differs from ours."""
    if not own.frames or not other.frames:
        return other.said or "shown"
    worst = 0.0
    for one, two in zip(own.frames, other.frames, strict=False):
        if one.shape != two.shape:
            return f"{two.shape[1]}x{two.shape[0]} for {one.shape[1]}x{one.shape[0]}"
        with np.errstate(invalid="ignore"):
            far = np.abs(one.astype(np.float64) - two) / np.maximum(1, np.abs(one))
        worst = max(worst, 255 * float(np.nan_to_num(far, nan=0, posinf=1e9).max()))
    return "same" if worst <= (1 if path.suffix.lower() in FILMS else ALIKE) else f"by {worst:.2f}/255"


def _table(rows: list[list[str]], columns: list[str]) -> str:
    return "\n".join(_lines(rows, columns)) + "\n"


def _lines(rows: list[list[str]], columns: list[str]) -> Iterator[str]:
    kinds = Counter((row[0].split("/")[0], _verdict(row)) for row in rows)
    verdicts = ("same for all", "refused", "differs")
    yield f"| {len(rows)} files | " + " | ".join(verdicts) + " |"
    yield "|---" * (1 + len(verdicts)) + "|"
    for project in sorted({project for project, _ in kinds}):
        yield f"| {project} | " + " | ".join(str(kinds[project, verdict]) for verdict in verdicts) + " |"
    yield ""
    yield "| File | " + " | ".join(columns) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    for row in rows:
        if _verdict(row) != "same for all":
            yield "| " + " | ".join(cell.replace("|", "/") for cell in row) + " |"


def _verdict(row: list[str]) -> str:
    if set(row[2:]) <= {"same", "-"} and (row[1] == "read" or "same" in row):
        return "same for all"
    return "differs" if row[1] == "read" else "refused"


if __name__ == "__main__":
    main()
