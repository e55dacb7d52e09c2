"""Manifest of a finished decomposition: what its folder holds, and of which clip.

Names read from a manifest cannot lead out of the folder.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, get_args

from annotated_types import Interval, MinLen

from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import (
    LAYER_NAME,
    channels_path,
    checkpoint_path,
    copy_path,
    frame_path,
    manifest_path,
    write_json,
)
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.validation import misfit

Declared = TypeVar("Declared")


SCHEMA_VERSION: Final = 1


_FILE_NAME: Final = re.compile(r"[\w-]+")


_MOST_BYTES: Final = 200
"""Largest length of a decomposition's name, bytes: file systems allow 255, with layer, number and suffix."""


_MOST_FRAMES: Final = 10_000_000


_NEWER: Final = "Open it with a newer version of this program, or decompose the clip again."


_SIZE: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The clip that was decomposed.

    Attributes:
        path: of the clip as the job named it, absolute.
        file: the video, or the picture of the first frame used; absolute.
        sha256: of the content of all its files.
        width: of the plate.
        height: of the plate.
        fps: frames a second.
        first: plate number of the first frame used.
        last: plate number of the last frame used.
        is_linear: whether the plate is scene-linear light rather than display-encoded.
        seen_from: the decomposition folder when it was written, absolute; locates a clip that moved with it.
        has_copies: whether the folder holds copies of the frames, because Blender shows the clip's own otherwise.
    """

    path: str
    file: str
    sha256: str
    width: Annotated[int, Interval(ge=1, le=65536)]
    height: Annotated[int, Interval(ge=1, le=65536)]
    fps: Annotated[float, Interval(ge=1e-6, le=1e6)]
    first: Annotated[int, Interval(ge=0)]
    last: Annotated[int, Interval(ge=0)]
    is_linear: bool
    seen_from: str = ""
    has_copies: bool = False

    @property
    def numbers(self) -> range:
        """Plate numbers of the frames used."""
        return range(self.first, self.last + 1)


Kind = Literal["object", "background"]
"""What a layer is: an object in front of those after it; or the background, the last, which is behind every pixel."""


class Layer(NamedTuple):
    """A layer of a decomposition.

    Attributes:
        name: in files and channels.
        kind: what it is.
    """

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionRecord:
    """What restores a solution, besides its arrays in ``solution.safetensors`` and its atlases.

    Attributes:
        kind: ``lattice``, or ``hashing_nvd`` for networks; later versions may have others.
        width: working width, px.
        height: working height, px.
        residual: how closely the lattice's residual follows the plate; as in the settings.
        hash_grid: implementation of the networks' hash grids.
        device: type of the device that the networks were evaluated on.
    """

    kind: str
    width: Annotated[int, Interval(ge=1, le=65536)]
    height: Annotated[int, Interval(ge=1, le=65536)]
    residual: str = "editing"
    hash_grid: str = ""
    device: str = "cpu"

    @property
    def size(self) -> Size:
        """Working size."""
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Content of ``manifest.json``, which is written last: a folder that has one is complete.

    Attributes:
        name: prefix of the frame files.
        source: the clip.
        layers: front to back.
        atlas_files: for each layer the atlas to paint, relative to the folder.
        original_files: for each layer the atlas as solved; an edit is the difference.
        settings: of the job, as a record: those of a later version may be others, and no reader depends on them.
        solution: how the solution was solved.
        masks: name and path of each, and whether it is locked.
        versions: of the programs that made it.
        metrics: quality measures.
        warnings: cautions for the user.
        schema_version: of this layout.
    """

    name: str
    source: Source
    layers: Annotated[tuple[Layer, ...], MinLen(1)]
    atlas_files: dict[str, str]
    original_files: dict[str, str]
    settings: dict[str, Any]
    solution: SolutionRecord
    masks: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    metrics: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers, front to back."""
        return tuple(layer.name for layer in self.layers)

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of the object layers, front to back."""
        return tuple(layer.name for layer in self.layers if layer.kind == "object")

    @property
    def background(self) -> str:
        """Name of the background."""
        return next(layer.name for layer in self.layers if layer.kind == "background")

    @property
    def locked(self) -> tuple[bool, ...]:
        """Whether each layer's alpha is its matte, whatever a solver learns."""
        locked = {mask.get("name") for mask in self.masks if mask.get("locked") is True}
        return tuple(name in locked for name in self.names)

    def frame_path(self, folder: Path, number: int) -> Path:
        """Path of the multilayer EXR of a frame."""
        return frame_path(folder, self.name, number)

    def copy_path(self, folder: Path, number: int) -> Path:
        """See :func:`copy_path`."""
        return copy_path(folder, self.name, number)

    def channels_path(self, folder: Path) -> Path:
        """See :func:`channels_path`."""
        return channels_path(folder, self.name, self.source.first)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a finished decomposition.

    Raises:
        InputError: it is missing or damaged, has another version, or names files outside the folder.
    """
    check_plain(folder)
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
            version = str(data["schema_version"])[:20]
            raise InputError(
                f"The decomposition has version {version}, this program reads {SCHEMA_VERSION}",
                where=path,
                hint=_NEWER,
            )
        before_it_was_told = {"is_linear": Path(data["source"]["file"]).suffix.lower() == ".exr"}
        source = _declared(Source, before_it_was_told | data["source"], "source.", path)
        solution = _declared(SolutionRecord, data.get("solution") or _solution_before(data), "solution.", path)
        layers = _layers(data, path)
        parts = {"source": _where_it_is(source, folder), "layers": layers, "solution": solution}
        manifest = _declared(Manifest, data | parts, "", path)
        for name in manifest.names:
            for files in (manifest.atlas_files, manifest.original_files):
                inside(folder, files.get(name, ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path) from error
    if (
        not _FILE_NAME.fullmatch(manifest.name)
        or len(manifest.name.encode()) > _MOST_BYTES
        or len(manifest.names) != len({*manifest.names})
        or [layer.kind for layer in manifest.layers].count("background") != 1
    ):
        raise _damaged(path)
    if not 0 <= manifest.source.last - manifest.source.first < _MOST_FRAMES:
        raise _damaged(path, "source.last")
    return manifest


def _declared(declared: type[Declared], data: dict[str, Any], within: str, path: Path) -> Declared:
    """Create a dataclass from JSON, refusing values that do not fit their fields; unknown names are left out."""
    known = {name: data[name] for name in declared.__annotations__ if name in data}
    if name := misfit(known, declared):
        raise _damaged(path, within + name)
    return declared(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})


def _layers(data: dict[str, Any], path: Path) -> tuple[Layer, ...]:
    """Read the layers: names, and the kind of each, which manifests lacked at first."""
    names = data["layers"] if isinstance(data["layers"], list) else []
    kinds = data.get("kinds", dict.fromkeys(names, "object") | dict.fromkeys(names[-1:], "background"))
    for name in names:
        if not LAYER_NAME.fullmatch(name):
            raise InputError(f"The manifest names a layer {name[:60]!r}, which is no layer's name", where=path)
        if kinds[name] not in get_args(Kind):
            message = f"The layer {name} is of a kind that this program does not know, {str(kinds[name])[:40]!r}"
            raise InputError(message, where=path, hint=_NEWER)
    return tuple(Layer(name, kinds[name]) for name in names)


def _solution_before(data: dict[str, Any]) -> dict[str, Any]:
    """Derive the record of the solution that manifests lacked at first."""
    size = _SIZE.fullmatch(str((data.get("metrics") or {}).get("size")))
    width, height = map(int, size.groups()) if size else (data["source"]["width"], data["source"]["height"])
    versions = data["versions"]
    return {
        "kind": "hashing_nvd" if "hash_grid" in versions else "lattice",
        "width": width,
        "height": height,
        "residual": str(data["settings"].get("residual", "editing")),
        "hash_grid": versions.get("hash_grid", ""),
        "device": "cpu" if versions.get("device", "cpu") == "cpu" else "cuda",
    }


def _damaged(path: Path, name: str = "") -> InputError:
    message = f"The manifest is damaged: {name} is none that there is" if name else "The manifest is damaged"
    return InputError(message, where=path, hint="Decompose the clip again.")


def host_of(path: str) -> str:
    """Host of a UNC path, which Windows would contact with the user's credentials; empty for a local path."""
    drive = PureWindowsPath(path).drive.lower()
    parts = drive.split("\\")
    return "" if not drive.startswith("\\\\") else drive if parts[2] in {"?", "."} else parts[2]


def _where_it_is(source: Source, folder: Path, *, on_windows: bool = os.name == "nt") -> Source:
    """Locate the source: at its path, or else at the same place relative to the folder as before.

    Raises:
        InputError: it lies on another computer than the folder.
    """
    known = {"", host_of(str(folder.absolute()))}
    for path in (source.path, source.file) if on_windows else ():
        if host_of(path) not in known:
            hint = "Copy the clip beside the folder, or give that share a drive letter and decompose again."
            raise InputError(f"The manifest leads to another computer, {path}", where=folder, hint=hint)
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
    """Resolve the path of a file that a manifest names.

    Raises:
        InputError: the path leads out of the folder.
    """
    path = folder / relative
    if not relative or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"The manifest names a file outside its folder, {relative!r}", where=folder)
    return path


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which declares the folder complete."""
    write_json(manifest_path(folder), as_json(manifest))


def as_json(manifest: Manifest) -> dict[str, Any]:
    """Manifest as JSON: layers as their names, as ever, and the kind of each beside them."""
    kinds = {layer.name: layer.kind for layer in manifest.layers}
    return asdict(manifest) | {"layers": manifest.names, "kinds": kinds}
