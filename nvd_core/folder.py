"""The decomposition folder: what lies where, and how it is written.

Everything is written to a temporary file beside its place and moved there when it is whole. An atlas
that the artist has changed is never written over. Names read from a manifest cannot leave the folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, get_type_hints

from nvd_core.errors import InputError
from nvd_core.settings import Settings

SCHEMA_VERSION: Final = 1
LAYER_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
"""What compositing programs accept as the name of a layer: no dots, no digit in front."""

FRAME_NAME: Final = re.compile(r".+\.\d{4,}\.exr")
"""What the frame files of any decomposition are called."""

_FILE_NAME: Final = re.compile(r"[\w-]+")

LOCK: Final = ".lock"
"""Held by the one who writes to the folder."""

_HALF_WRITTEN: Final = re.compile(r"\.(?P<stem>.+)\.\d+\.part(?P<suffix>\.\w+)?")
"""What :func:`atomic` calls a file until it is whole."""

_MOST_FRAMES: Final = 10_000_000

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The clip that was decomposed.

    Attributes:
        path: of the clip as it was named, absolute.
        file: the video, or the picture of the first frame used; absolute.
        sha256: of the content of all its files.
        width: of the plate.
        height: of the plate.
        fps: frames a second.
        first: plate number of the first frame used.
        last: plate number of the last frame used.
        is_linear: whether the plate is scene-linear light rather than display-encoded.
        seen_from: the decomposition folder when it was written, absolute; finds a clip that moved with it.
    """

    path: str
    file: str
    sha256: str
    width: int
    height: int
    fps: float
    first: int
    last: int
    is_linear: bool
    seen_from: str = ""

    @property
    def numbers(self) -> range:
        """Plate numbers of the frames used."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``manifest.json``. It is written last: a folder that has one is whole.

    Attributes:
        name: that the frame files begin with.
        source: the clip.
        layers: front to back; the last is the background.
        atlas_files: for each layer the atlas to paint, relative to the folder.
        original_files: for each layer the atlas as it was solved; an edit is the difference.
        settings: resolved.
        masks: name and path of each, and whether it is locked.
        versions: of the programs that made it.
        metrics: how good it is.
        warnings: what the user should know.
        schema_version: of this layout.
    """

    name: str
    source: Source
    layers: tuple[str, ...]
    atlas_files: dict[str, str]
    original_files: dict[str, str]
    settings: dict[str, Any]
    masks: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def frame_path(self, folder: Path, number: int) -> Path:
        """The multilayer EXR of a frame."""
        return frame_path(folder, self.name, number)

    def channels_path(self, folder: Path) -> Path:
        """See :func:`channels_path`."""
        return channels_path(folder, self.name, self.source.first)


def manifest_path(folder: Path) -> Path:
    """Where the manifest lies."""
    return folder / "manifest.json"


def frame_path(folder: Path, name: str, number: int) -> Path:
    """Where the multilayer EXR of a plate frame lies."""
    return folder / "frames" / f"{name}.{number:04d}.exr"


def channels_path(folder: Path, name: str, number: int) -> Path:
    """Where a black pixel lies with the channels of a frame, which takes long to read: nodes are set up from it."""
    return folder / "channels" / frame_path(folder, name, number).name


def checkpoint_path(folder: Path) -> Path:
    """Where unfinished work lies; gone when the job is done."""
    return folder / "checkpoint"


def masks_path(folder: Path) -> Path:
    """Where the masks lie that were not given but found or carried, a folder for each object."""
    return folder / "masks"


def masks_record_path(folder: Path) -> Path:
    """What is known of those masks."""
    return masks_path(folder) / "masks.json"


def report_path(folder: Path) -> Path:
    """Where the report lies."""
    return folder / "report"


def log_path(folder: Path) -> Path:
    """Where the events of the last run lie."""
    return folder / "events.jsonl"


def is_ours(folder: Path) -> bool:
    """Whether a folder is a decomposition, finished or not."""
    names = {path.name for path in folder.iterdir()}
    only_begun = LOCK in names and names <= {LOCK, masks_path(folder).name, log_path(folder).name}
    return (
        manifest_path(folder).is_file()
        or checkpoint_path(folder).is_dir()
        or masks_record_path(folder).is_file()
        or only_begun
    )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished decomposition.

    Raises:
        InputError: there is none, or it is of another version, or it names files outside the folder.
    """
    path = manifest_path(folder)
    if not path.is_file():
        unfinished = checkpoint_path(folder).is_dir()
        raise InputError(
            "The decomposition is not finished" if unfinished else "The folder is no decomposition",
            where=folder,
            hint="Finish it with Resume, or nvd decompose --resume."
            if unfinished
            else "Name a folder that Decompose Clip or nvd decompose has made.",
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] != SCHEMA_VERSION:
            raise InputError(
                f"The decomposition has version {data['schema_version']}, this program reads {SCHEMA_VERSION}",
                where=path,
                hint="Decompose the clip again.",
            )
        known = {key: data[key] for key in (one.name for one in fields(Manifest)) if key in data}
        before_it_was_told = {"is_linear": Path(data["source"]["file"]).suffix.lower() == ".exr"}
        source = _where_it_is(Source(**before_it_was_told | data["source"]), folder)
        known |= {"source": source, "layers": tuple(data["layers"])}
        known |= {"masks": tuple(data["masks"]), "warnings": tuple(data["warnings"])}
        manifest = Manifest(**known)
        for layer in manifest.layers:
            if not LAYER_NAME.fullmatch(layer):
                raise InputError(f"The manifest names a layer {layer!r}, which is no layer's name", where=path)
            for files in (manifest.atlas_files, manifest.original_files):
                inside(folder, files.get(layer, ""))
        Settings(**manifest.settings)
        is_sound = _FILE_NAME.fullmatch(manifest.name) and manifest.layers and _is_sound(manifest.source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("The manifest is damaged", where=path, hint="Decompose the clip again.") from error
    if not is_sound:
        raise InputError("The manifest is damaged", where=path, hint="Decompose the clip again.")
    return manifest


def _is_sound(source: Source) -> bool:
    """Whether a source's values are of their kinds, and its numbers such that all can be counted."""
    kinds = get_type_hints(Source)
    values = ((getattr(source, name), kind) for name, kind in kinds.items())
    is_whole = all(isinstance(value, (int, float) if kind is float else kind) for value, kind in values)
    return is_whole and 0 < source.fps < _MOST_FRAMES and 0 <= source.last - source.first < _MOST_FRAMES


def _where_it_is(source: Source, folder: Path) -> Source:
    """The source, looked for in the same place relative to the folder if it is not where it was."""
    if not source.seen_from or Path(source.file).exists():
        return source
    try:
        there = {
            name: os.path.normpath(folder.absolute() / os.path.relpath(path, source.seen_from))
            for name, path in (("path", source.path), ("file", source.file))
        }
    except ValueError:  # it was on another drive
        return source
    return replace(source, **there) if Path(there["file"]).exists() else source


def inside(folder: Path, relative: str) -> Path:
    """The path of a file that a manifest names.

    Raises:
        InputError: it leads out of the folder.
    """
    path = folder / relative
    if not relative or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"The manifest names a file outside its folder, {relative!r}", where=folder)
    return path


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: the folder is whole from now on."""
    write_json(manifest_path(folder), asdict(manifest))


def write_json(path: Path, data: object) -> None:
    """Write JSON, whole or not at all. What of a path is no text comes out as an escape, which is read back alike."""
    with atomic(path) as temporary:
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path with the same suffix, moved to ``path`` when the block ends well, else removed.

    Raises:
        InputError: the disk is full, or the place cannot be written to.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Take away what a writer that was killed has left half-written."""
    for path in folder.rglob(".*.part*"):
        if _HALF_WRITTEN.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sweep_of(targets: Collection[Path]) -> None:
    """The same for files that go to a folder that holds others' files, too."""
    names = {path.name for path in targets}
    for folder in {path.parent for path in targets}:
        for path in folder.glob(".*.part*"):
            half = _HALF_WRITTEN.fullmatch(path.name)
            if half and half["stem"] + (half["suffix"] or "") in names:
                path.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> InputError:
    """The sentence for a write that failed."""
    if error.errno in _FULL:
        return InputError("The disk is full", where=path, hint="Free some space, and resume.")
    reason = error.strerror or str(error)
    return InputError(f"The file cannot be written: {reason}", where=path, hint="Choose another place.")


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, which need not be there yet.

    Raises:
        InputError: the disk is not there.
    """
    return shutil.disk_usage(nearest(folder)).free


def nearest(folder: Path) -> Path:
    """A folder, or the innermost one around it that is there.

    Raises:
        InputError: the disk is not there.
    """
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), None)
    if there is None:
        raise InputError("The disk is not there", where=folder, hint="Connect it, or choose another place.")
    return there


def check_space(folder: Path, needed_bytes: float, free: float | None = None) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: where it is to go; need not be there yet.
        needed_bytes: what it takes.
        free: bytes that are free, where that is known already.

    Raises:
        InputError: less is free than is needed.
    """
    free = free_bytes(folder) if free is None else free
    if needed_bytes > free:
        raise InputError(
            f"The disk is full: the result needs about {needed_bytes / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free",
            where=folder,
            hint="Free some space, choose another place, or use fewer frames.",
        )


def sha256(path: Path) -> str:
    """Digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
