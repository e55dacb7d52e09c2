"""Carry strokes from the sheet of a frame into the layers, and take them off again, by ``nvd paint`` beside Blender."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bpy

from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import inside, read_manifest

from ..engine import tasks
from ..result import atlas_files, layers, paint, shot_sheet, undo, workspace
from ..result.layer_group import CONTROLS, SHOWN
from ..result.scenes import atlas_nodes, path_of
from . import beside

_MANY: Final = 0.01
"""Share of painted pixels that show another colour from which the reason is told."""


@dataclass
class ShotPaint(beside.ResultTask):
    """Painting on the shot, or undoing it.

    Attributes:
        digest: of the sheet whose strokes are applied; empty where they are undone.
        warnings: for the user.
    """

    digest: bytes = b""
    warnings: tuple[str, ...] = ()

    @property
    def told(self) -> dict[str, Any]:
        """What ``nvd paint`` has written as JSON, after what it says."""
        said = "".join(self._said)
        return json.JSONDecoder().raw_decode(said, said.index("{\n"))[0]

    def outcome(self) -> str:
        """What ``nvd paint`` says of its strokes, or of their undo."""
        told = self.told
        if "texels" not in told:
            return f"As before: {', '.join(Path(name).name for name in told['files'])}. The same again takes that back."
        where = " and ".join(f"{name} ({count} texels)" for name, count in told["texels"].items())
        said = f"Frame {told['number']} is painted on {where}."
        if told["off"]:
            said += f" {told['off']} of {told['pixels']} painted pixels show another colour than was painted."
        if told["off"] > _MANY * told["pixels"]:
            said += " The atlas is too coarse there, or in deep shadow."
        return said

    def show(self, scene: bpy.types.Scene | None) -> None:
        """Show the atlases that were painted."""
        if scene:
            self.success += _shown(scene, self)
            undo.keep(self.name)


def apply(scene: bpy.types.Scene) -> ShotPaint:
    """Start to carry the strokes on a result's sheet into its layers. Unsaved paint on atlases is saved first.

    Raises:
        NvdError: there is no sheet, or nothing is painted on it; there is no engine, or it is at work; the result's
            files are gone, or a job replaces them; an atlas is a file of the artist's own, or cannot be saved.
    """
    sheet = shot_sheet.sheet_of(scene)
    if sheet is None:
        raise InputError("There is no sheet of this result", hint="Begin with Paint on the Shot.")
    folder, images = _atlases(scene)
    strokes = Path(bpy.app.tempdir) / "nvd_shot_paint" / "strokes.png"
    strokes.parent.mkdir(parents=True, exist_ok=True)
    shot_sheet.write_strokes(sheet, strokes)
    for image in images:
        if paint.is_newer_on_disk(image):
            hint = "Reload it, or save yours over it."
            raise InputError("Another program has saved this atlas", where=path_of(image), hint=hint)
    shot_sheet.pack(sheet)
    warnings = (*filter(None, map(paint.keep, images)), *_other_looks(scene))
    flags = ["--frame", str(shot_sheet.frame_of(sheet)), strokes]
    return _start(folder, "Painting on the shot", *flags, digest=shot_sheet.digest(sheet), warnings=warnings)


def take_back(scene: bpy.types.Scene) -> ShotPaint:
    """Start to undo the last paint on the shot, of this result; or to redo it, where that was undone last.

    Raises:
        NvdError: there is no engine, or it is at work; the result's files are gone, or a job replaces them; or an atlas
            is a file of the artist's own, or has unsaved paint.
    """
    folder, images = _atlases(scene)
    for image in images:
        if image.is_dirty:  # saved, it would not be the atlas that can be undone
            raise InputError("The atlas has unsaved paint", where=path_of(image), hint="Save it or reload it first.")
    return _start(folder, "Undoing the paint on the shot", "--undo")


def _start(folder: Path, name: str, *flags: str | Path, **options: Any) -> ShotPaint:  # noqa: ANN401 (fields of the task)
    step = beside.step(name, "paint", folder, *flags, "--json")
    task = ShotPaint(name, [step], beside.log_of("shot_paint"), folder=folder, **options)
    tasks.start(task)
    return task


def _atlases(scene: bpy.types.Scene) -> tuple[Path, list[bpy.types.Image]]:
    """Decomposition folder of a result, and the images of its atlases, which ``nvd paint`` may write.

    Raises:
        NvdError: it may not.
    """
    folder = beside.ready(scene)
    files = read_manifest(folder).atlas_files
    images = {name: node.image for name, node in atlas_nodes(scene).items()}
    for name, image in images.items():
        if name not in files or path_of(image) != inside(folder, files[name]):
            hint = "Use the result's own atlas: Revert to Original brings it back."
            what = f"The atlas of {name} is a file of your own, and the shot's paint goes to the result's"
            raise InputError(what, where=path_of(image) or image.name, hint=hint)
    return folder, [*images.values()]


def _other_looks(scene: bpy.types.Scene) -> list[str]:
    """Say which layers are shown in another way than strokes are fitted for."""
    groups = {name: layers.group_of(scene, name) for name in atlas_nodes(scene)}
    inputs = [SHOWN, *(control.name for control in CONTROLS)]
    names = [
        name for name, group in groups.items() if group and any(group.inputs[n].default_value != 1 for n in inputs)
    ]
    words = f"{' and '.join(names)}: the frame shows the paint as it was painted once Opacity, Light and Gain are 1"
    return [words] if names else []


def _shown(scene: bpy.types.Scene, task: ShotPaint) -> str:
    """Read painted atlases again, and remove the applied sheet; return what the artist has to know."""
    said, files = "", {Path(name) for name in task.told["files"]}
    images = {layer: node.image for layer, node in atlas_nodes(scene).items() if path_of(node.image) in files}
    for layer, image in images.items():
        if image.is_dirty:
            said += f" You have painted on {path_of(image).name} meanwhile: reload it, or save yours over it."
        else:
            with suppress(InputError):  # another program has saved it meanwhile; the panel tells that by itself
                atlas_files.reload(scene, layer)
    sheet = shot_sheet.sheet_of(scene) if task.digest else None
    if sheet and shot_sheet.digest(sheet) != task.digest:
        return f"{said} You have painted on the sheet meanwhile: apply it again."
    if sheet:
        leave(scene, next(iter(images.values()), None))
    return said


def leave(scene: bpy.types.Scene, atlas: bpy.types.Image | None = None) -> None:
    """Remove a result's sheet; where it was the canvas, an atlas becomes it.

    Args:
        scene: of the result.
        atlas: the canvas; by default the front layer's.
    """
    sheet = shot_sheet.sheet_of(scene)
    atlas = atlas or next((node.image for node in atlas_nodes(scene).values()), None)
    for window in bpy.context.window_manager.windows:
        if atlas and window.scene.tool_settings.image_paint.canvas == sheet:
            workspace.set_canvas(window, scene, atlas)
    for one in bpy.data.scenes:
        if one.tool_settings.image_paint.canvas == sheet:
            one.tool_settings.image_paint.canvas = atlas
    shot_sheet.remove(scene)
