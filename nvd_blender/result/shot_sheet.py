"""Sheets: pictures of one frame to paint on, whose strokes go into the layers. Until then the .blend keeps them.

A sheet has a twin that nobody paints on: what differs from it are strokes, however the scene shows its layers.
"""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path
from typing import Any, Final

import bpy

from nvd_core.spec.errors import InputError

from ..host.timers import lasting
from . import rendered
from .scenes import results

_SHEET_KEY: Final = "nvd_sheet"
"""Custom property of a result's scene: its sheet."""

_FRAME_KEY: Final = "nvd_frame"
"""Custom property of a sheet: number of its frame."""

_TWIN_KEY: Final = "nvd_untouched"
"""Custom property of a sheet: its twin."""


def sheet_of(scene: bpy.types.Scene) -> bpy.types.Image | None:
    """Sheet of a result, if there is one; in a stranger's .blend its properties may hold anything."""
    sheet = scene.get(_SHEET_KEY)
    if not isinstance(sheet, bpy.types.Image) or not isinstance(sheet.get(_FRAME_KEY), int):
        return None
    twin = sheet.get(_TWIN_KEY)
    return sheet if isinstance(twin, bpy.types.Image) and tuple(twin.size) == tuple(sheet.size) else None


def frame_of(sheet: bpy.types.Image) -> int:
    """Number of the frame that a sheet shows."""
    return sheet[_FRAME_KEY]


def make(scene: bpy.types.Scene) -> bpy.types.Image:
    """Make a sheet of a result's current frame: 8 bits, sRGB, as Blender renders it.

    It is rendered, as the viewer's picture may have the plate over it, or still be of another frame.

    Raises:
        InputError: the playhead is outside the shot, the result's files are gone, or Blender is rendering.
    """
    folder, number = rendered.folder_with_files(scene), scene.frame_current
    if not scene.frame_start <= number <= scene.frame_end:
        raise InputError(f"Frame {number} is not of the shot", where=folder, hint="Go to a frame of the shot.")
    if bpy.app.is_job_running("RENDER"):
        raise InputError("Blender is rendering", hint="Wait until that has ended, or cancel it with Esc.")
    path = _rendered(scene, Path(bpy.app.tempdir) / "nvd_sheet")
    sheet = bpy.data.images.load(str(path))
    sheet.name = f"{rendered.name_of(folder)} frame {number}"
    sheet.pack()
    sheet.filepath_raw = ""
    path.unlink()
    twin = sheet.copy()
    twin.name = f"{sheet.name} untouched"
    sheet.use_fake_user = True
    sheet[_FRAME_KEY], sheet[_TWIN_KEY], scene[_SHEET_KEY] = number, twin, sheet
    return sheet


def has_strokes(sheet: bpy.types.Image) -> bool:
    """Whether anything is painted on a sheet."""
    return _pixels(sheet) != _pixels(sheet[_TWIN_KEY])


def digest(sheet: bpy.types.Image) -> bytes:
    """Digest of a sheet's pixels."""
    return hashlib.sha256(_pixels(sheet)).digest()


def write_strokes(sheet: bpy.types.Image, path: Path) -> None:
    """Write the strokes on a sheet as a PNG that is transparent elsewhere.

    Raises:
        InputError: nothing is painted, or the file cannot be written.
    """
    painted, untouched = _pixels(sheet), _pixels(sheet[_TWIN_KEY])
    if painted == untouched:
        raise InputError("Nothing is painted on the sheet", hint="Paint on it, or discard it.")
    pixels, row = array("f", painted), 4 * sheet.size[0]
    for start in range(0, len(pixels), row):
        step = 4 if _differ(painted, untouched, start, row) else row  # most rows are as they were
        for at in range(start, start + row, step):
            if not _differ(painted, untouched, at, step):
                pixels[at + 3 : at + step : 4] = array("f", bytes(step))
    strokes = bpy.data.images.new("Strokes", *sheet.size, alpha=True)
    try:
        strokes.pixels.foreach_set(pixels)
        strokes.filepath_raw, strokes.file_format = str(path), "PNG"
        strokes.save()
    except RuntimeError as error:
        raise InputError(f"The strokes cannot be saved: {error}", where=path, hint="Free some space.") from error
    finally:
        bpy.data.images.remove(strokes)


def pack(sheet: bpy.types.Image) -> None:
    """Put the strokes into the .blend, and so into undo steps: Blender keeps a packed picture as it was packed."""
    if sheet.is_dirty:
        sheet.pack()


def remove(scene: bpy.types.Scene) -> None:
    """Delete a result's sheet, with what is painted on it."""
    sheet = sheet_of(scene)
    for image in (sheet[_TWIN_KEY], sheet):
        bpy.data.images.remove(image)
    scene.pop(_SHEET_KEY, None)


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.save_pre.append(_pack_all)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.save_pre.remove(_pack_all)


@bpy.app.handlers.persistent
@lasting(None)
def _pack_all(*_: object) -> None:
    """Put the strokes on all sheets into the .blend that is being saved."""
    for sheet in filter(None, map(sheet_of, results())):
        pack(sheet)


def _rendered(scene: bpy.types.Scene, start: Path) -> Path:
    """Render a scene's current frame to an 8-bit PNG, whatever format and view the scene has, and leave it those.

    As an animation of one frame: for a still of a scene that no window shows, Blender takes the first frame's files.

    Args:
        scene: of the result.
        start: of the path, without number and suffix, which is returned with both.
    """
    render, form, view, number = scene.render, scene.render.image_settings, scene.view_settings, scene.frame_current
    is_5 = hasattr(form, "media_type")
    meant = [
        *[(form, "media_type", "IMAGE")] * is_5, (form, "file_format", "PNG"), (form, "color_mode", "RGB"),
        (form, "color_depth", "8"), (render, "filepath", str(start)), (render, "use_file_extension", True),
        (render, "dither_intensity", 0.0), (scene, "frame_start", number), (scene, "frame_end", number),
        (view, "view_transform", "Standard"), (view, "look", "None"), (view, "exposure", 0.0), (view, "gamma", 1.0),
    ]  # fmt: skip
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in meant]
    try:
        _set(meant)
        bpy.ops.render.render(animation=True, scene=scene.name)
        return Path(render.frame_path(frame=number))
    finally:
        _set(before)
        scene.frame_set(number)  # Blender goes to the first frame


def _set(values: list[tuple[Any, str, object]]) -> None:
    """Set properties, each by its owner and name."""
    for owner, name, value in values:
        setattr(owner, name, value)


def _pixels(image: bpy.types.Image) -> bytes:
    """RGBA of all pixels, 32-bit floats."""
    pixels = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(pixels)
    return pixels.tobytes()


def _differ(one: bytes, other: bytes, start: int, count: int) -> bool:
    """Whether any of some values differ."""
    part = slice(4 * start, 4 * (start + count))
    return one[part] != other[part]
