"""Render the shot of a result without objects, by ``nvd render`` beside Blender: no compositor node grows a matte."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import bpy

from nvd_core.spec import protocol
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import sweep_of
from nvd_core.spec.manifest import Manifest, inside, read_manifest

from ..engine import tasks
from ..host import compat, nodes
from ..result import edit_record, layers, paint, rendered, undo
from ..result.layer_group import CONTROLS, SHOWN
from ..result.scenes import MODE_SWITCH, atlas_nodes, node_of, path_of
from . import beside

Kind = Literal["EXR", "PNG", "MOVIE"]

_FILMS: Final = (".mp4", ".mov", ".mkv")
"""Suffixes at which the engine writes a film, and no pictures."""


@dataclass(frozen=True)
class Progress:
    """What ``nvd render`` has told.

    Attributes:
        share: of the frames that are done, 0 to 1.
        files: that are finished, in order.
        invented: share of the filled area that no frame shows, 0 to 1.
    """

    share: float = 0.0
    files: tuple[Path, ...] = ()
    invented: float = 0.0
    doing: str = ""

    def follow(self, line: str) -> Progress:
        """Update the progress by a line of the output; lines that are no events leave it unchanged."""
        match protocol.decode(line):
            case protocol.Progress(done=done):
                return replace(self, share=min(1.0, max(0.0, done)))
            case protocol.Artifact(path=path):
                return replace(self, files=(*self.files, Path(path)))
            case protocol.Metric(name="invented_share", value=value):
                return replace(self, invented=value)
        return self


@dataclass
class CleanPlate(beside.ResultTask):
    """Rendering of a clean plate.

    Attributes:
        out: movie, or folder of the pictures.
        replaces: whether files that are there may be written over.
        warnings: for the user.
        made: paths that are made for it, innermost first.
    """

    progress: Progress = field(default_factory=Progress)
    out: Path = Path()
    replaces: bool = False
    warnings: Sequence[str] = ()
    made: Sequence[Path] = ()

    def __post_init__(self) -> None:
        """Complete the task."""
        super().__post_init__()
        self.on_stopped = self._tidy
        self.made = [place for place in (self.out, *self.out.parents) if not place.exists()]

    def outcome(self) -> str:
        """What the clean plate is like."""
        if not self.progress.invented:
            return "The clean plate is rendered. All that was hidden is seen in some frame."
        share = f"{self.progress.invented:.0%}" if self.progress.invented >= 0.01 else "Less than 1%"
        return (
            f"The clean plate is rendered. {share} of what was filled is seen in no frame, and invented: Show Coverage "
            "hatches it in the background's atlas. Paint it there, and render again."
        )

    def show(self, scene: bpy.types.Scene | None) -> None:
        """Add the files above their strip, and say where they are."""
        files, name = self.progress.files, f"{rendered.name_of(self.folder)} clean"
        if scene and (place := rendered.add_to_edit(scene, files, name)):
            undo.keep("Render Clean Plate")
            self.success += f" It lies above {place.strip.name} in {place.scene.name}."
        else:
            why = "no strip shows the clip" if scene else "its result is not in this file"
            self.success += f" It is in {files[0].parent} alone, as {why}."

    def _tidy(self) -> None:
        """Delete what was written of a film or sequence that is not whole, but nothing that was there before."""
        with suppress(OSError):
            sweep_of([self.out])
            for path in () if self.replaces else self.progress.files:
                path.unlink(missing_ok=True)
        for place in self.made:
            with suppress(OSError):  # where another program has put something
                place.rmdir()
        if self.replaces and self.progress.files:
            self.error += f" {len(self.progress.files)} files had been written, and stay."


def objects(scene: bpy.types.Scene) -> list[str]:
    """Names of a result's objects, front to back.

    Raises:
        InputError: its files are gone, or it has no object.
    """
    folder = rendered.folder_with_files(scene)
    found = [layer.name for layer in read_manifest(folder).layers if layer.kind == "object"]
    if not found:
        hint = "Add an object to the clip, and decompose it again."
        raise InputError("A clean plate is without objects, and the result has none", where=folder, hint=hint)
    return found


def meant(scene: bpy.types.Scene, names: Collection[str]) -> list[str]:
    """Objects that an artist means to take out: those with a closed eye, or all if every eye is open."""
    groups = {name: layers.group_of(scene, name) for name in names}
    return [name for name, group in groups.items() if group and layers.is_on(group, "hidden")] or [*names]


def start(scene: bpy.types.Scene, hidden: Collection[str], place: Path, kind: Kind, *, replaces: bool) -> CleanPlate:
    """Start to render the shot of a result without some objects.

    Args:
        scene: of the result.
        hidden: names of objects that are taken out.
        place: folder of the film or the pictures.
        kind: of the files.
        replaces: overwrite files that are there.

    Raises:
        NvdError: there is no engine, or it is at work; the result's files are gone, or a job replaces them; the folder
            has a film's name; or unsaved paint or inserts cannot be saved.
    """
    if place.suffix.lower() in _FILMS:
        raise InputError("The folder is named like a film", where=place, hint="Name the folder that the files go to.")
    folder = beside.ready(scene)
    manifest = read_manifest(folder)
    edit_record.write(scene)
    warnings = [*_saved(scene), *_animated(scene, hidden)]
    out = place / f"{rendered.name_of(folder)}.mp4" if kind == "MOVIE" else place
    flags = ["--events", *["--replace"] * replaces, *(f"--hide={name}" for name in hidden)]
    flags += ["--format", "exr" if kind == "EXR" else "png", *_as_shown(scene, folder, manifest, hidden)]
    name = "Rendering the clean plate"
    step = beside.step(name, "render", folder, "-o", out, *flags, heeds_input=True)
    task = CleanPlate(
        name, [step], beside.log_of("clean_plate"), folder=folder, out=out, replaces=replaces, warnings=warnings
    )
    tasks.start(task)
    return task


def _saved(scene: bpy.types.Scene) -> list[str]:
    """Save unsaved paint on a result's atlases, which the engine reads from their files; return messages about it.

    Raises:
        InputError: an atlas that has no file, or one that another program has saved or the artist has chosen.
    """
    images = [node.image for node in atlas_nodes(scene).values()]
    for image in images:
        path = path_of(image)
        if path is None:
            hint = "Save it in the Image Editor first."
            raise InputError(f"The picture {image.name!r} has no file yet", hint=hint)
        if image.is_dirty and not paint.is_saved_in_place(image):
            raise InputError("The atlas has unsaved paint", where=path, hint="Save it or reload it first.")
    return [said for image in images if (said := paint.keep(image))]


def _as_shown(scene: bpy.types.Scene, folder: Path, manifest: Manifest, hidden: Collection[str]) -> list[str]:
    """Flags that make the engine show the layers as the result's scene does."""
    switch = node_of(scene, MODE_SWITCH)
    flags = ["--mode", "rebuild" if switch and getattr(*nodes.switch_property(switch)) else "keep-plate"]
    for name, node in atlas_nodes(scene).items():
        if name in hidden or name not in manifest.names:
            continue
        if path_of(node.image) != inside(folder, manifest.atlas_files[name]):
            flags += ["--atlas", f"{name}={path_of(node.image)}"]
        if group := layers.group_of(scene, name):
            opacity, light, gain = (group.inputs[control.name].default_value for control in CONTROLS)
            values = {"opacity": opacity * group.inputs[SHOWN].default_value, "light": light, "gain": gain}
            flags += [f"--{what}={name}={value}" for what, value in values.items() if value != 1]
    return flags


def _animated(scene: bpy.types.Scene, hidden: Collection[str]) -> list[str]:
    """Say which layers have keys, drivers or nodes on their looks, which the engine does not know."""
    tree = compat.scene_tree(scene)
    drivers = tree.animation_data.drivers if tree.animation_data else ()
    paths = [curve.data_path for curve in (*compat.curves_of(tree), *drivers)]
    found = []
    for name in atlas_nodes(scene):
        group = layers.group_of(scene, name) if name not in hidden else None
        if group and (
            any(path.startswith(group.path_from_id()) for path in paths)
            or any(group.inputs[control.name].is_linked for control in CONTROLS)
        ):
            found.append(name)
    words = f"Opacity, Light and Gain of {', '.join(found)} change; all frames get what they are at the current one."
    return [words] if found else []
