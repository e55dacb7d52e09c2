"""Version the folders of results: a new result goes beside the former one, ``car_nvd`` to ``car_nvd_v002``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from nvd_core.spec.atlas_pairs import painted_atlases
from nvd_core.spec.edits import edits_path
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import contents, manifest_path, masks_path, staged_path
from nvd_core.spec.manifest import Source, read_manifest
from nvd_core.spec.mask_record import Record
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.patterns import file_of
from nvd_core.spec.run_record import RunRecord

_VERSION: Final = re.compile(r"(?P<stem>.+)_v(?P<number>\d{3,})")


def version_of(folder: Path) -> str:
    """Version in a folder's name, such as ``v002``; empty for the first."""
    parts = _VERSION.fullmatch(folder.name)
    return f"v{parts['number']}" if parts else ""


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a finished result, in its place or staged."""
    return manifest_path(folder).is_file() or is_staged(folder)


def is_staged(folder: Path) -> bool:
    """Whether a folder holds a finished result that has not been moved to its place yet."""
    return manifest_path(staged_path(folder)).is_file()


def holds_result(folder: Path) -> bool:
    """Whether a folder holds a finished result, edits or a corrected mask, or cannot be read safely."""
    try:
        check_plain(folder)
        is_edited = any(painted_atlases(folder)) or edits_path(folder).exists()
        return is_finished(folder) or is_edited or bool(Record.read(masks_path(folder)).painted())
    except InputError:
        return True


def held(folder: Path) -> str:
    """Describe the result in a folder for messages: ``car, frames 1-40``."""
    try:
        manifest = read_manifest(staged_path(folder) if is_staged(folder) else folder)
    except InputError:
        return "a result, or what is painted of one"
    return f"{manifest.name}, frames {manifest.source.first}-{manifest.source.last}"


def belongs(folder: Path, clip: Path, first: int, last: int, layers: Collection[str] = ()) -> bool:
    """Whether a folder's result is of this clip, this range and these objects.

    Args:
        folder: of the result; need not exist.
        clip: as a job names it: a video, a folder of pictures, a pattern (``shot.####.exr``) or a picture.
        first: plate number of the first frame.
        last: plate number of the last frame.
        layers: names of the objects; if empty, any objects.
    """
    try:
        manifest = read_manifest(folder)
    except InputError:
        return False
    objects, source = {name.casefold() for name in manifest.objects}, manifest.source
    same = not layers or {name.casefold() for name in layers} == objects
    return same and (source.first, source.last) == (first, last) and _is_clip(source, clip)


def next_version(folder: Path, taken: Collection[Path] = ()) -> Path:
    """Free folder for a new result: the folder itself if it is empty or missing, else the next higher version.

    Args:
        folder: preferred.
        taken: folders of queued jobs, existing or not.
    """
    existing = list(_versions(folder, taken))
    if folder.absolute() not in taken and (not folder.exists() or (folder.is_dir() and not contents(folder))):
        return folder
    highest = max((number for number, _ in existing), default=1)
    return folder.with_name(f"{_stem(folder)}_v{max(highest, 1) + 1:03d}")


def unfinished_version(folder: Path, job: str = "") -> Path | None:
    """Newest version of a result that a killed or cancelled run has left unfinished.

    Args:
        folder: of any version.
        job: digest of the job by :func:`nvd_core.spec.run_record.asked`; if empty, any job.
    """
    return next((path for path in versions(folder) if (one := RunRecord.read(path).job) and job in {"", one}), None)


def former_version(folder: Path, clip: Path, numbers: range, layers: Collection[str]) -> Path | None:
    """Newest earlier version of a result with the same frames of the clip and the same objects.

    Args:
        folder: of this version.
        clip: see :func:`belongs`.
        numbers: plate numbers of the frames used.
        layers: see :func:`belongs`.
    """
    parts = _VERSION.fullmatch(folder.name)
    before = int(parts["number"]) if parts else 1
    older = sorted((one for one in _versions(folder) if one[0] < before), reverse=True)
    return next((path for _, path in older if belongs(path, clip, numbers[0], numbers[-1], layers)), None)


def edited_version(folder: Path, clip: Path) -> Path | None:
    """Newest other version of a result of the same clip, of any range, that has edits.

    Args:
        folder: of this version.
        clip: see :func:`belongs`.
    """
    for path in versions(folder):
        with suppress(InputError):
            if path != folder.absolute() and edits_path(path).is_file() and _is_clip(read_manifest(path).source, clip):
                return path
    return None


def versions(folder: Path) -> list[Path]:
    """List all paths named like a version of a folder, newest first."""
    return [path for _, path in sorted(_versions(folder), reverse=True)]


def _stem(folder: Path) -> str:
    parts = _VERSION.fullmatch(folder.name)
    return parts["stem"] if parts else folder.name


def _versions(folder: Path, taken: Collection[Path] = ()) -> Iterator[tuple[int, Path]]:
    """List all paths named like a version of a folder, with their numbers; the first has none in its name."""
    stem = _stem(folder).casefold()  # most file systems ignore case
    parent = folder.absolute().parent
    for path in (*(parent.iterdir() if parent.is_dir() else ()), *(one for one in taken if one.parent == parent)):
        parts = _VERSION.fullmatch(path.name)
        if path.name.casefold() == stem:
            yield 1, path
        elif parts and parts["stem"].casefold() == stem:
            yield int(parts["number"]), path


def _is_clip(source: Source, clip: Path) -> bool:
    """Whether a clip is the decomposed one, whether named by folder, pattern or file."""
    file = Path(source.file)
    named = {path.resolve() for path in (clip, file_of(clip, source.first))}
    return not named.isdisjoint({file.resolve(), file.resolve().parent, Path(source.path).resolve()})
