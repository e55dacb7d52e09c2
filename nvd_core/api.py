"""The Python library: decompose a clip, read its layers as arrays, render edits, measure quality.

All colours are linear light, all pictures ``float32`` arrays of rows, columns, channels; row 0 is the top. Errors are
:class:`NvdError`, which says what is wrong, where, and what to do.

>>> import nvd_core as nvd
>>> from nvd_core.faces.demo_clip import write_clip
>>> clip = write_clip(Path("clip"), frames=4, size=Size(160, 90))
>>> result = nvd.decompose(clip.frames, clip.masks, settings=nvd.Settings(preset="preview"), out="shot_nvd")
>>> result.manifest.names
('sign', 'background')
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

from nvd_core import pipeline
from nvd_core.export.exporters import run_exporter
from nvd_core.job_files import check_settings, named_after, parse_mask
from nvd_core.quality.measure import measure
from nvd_core.result import rendering
from nvd_core.result.composite import Composite, Mode
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.editing import insert_picture
from nvd_core.result.paint_on_shot import PaintedFrame, paint_on_shot
from nvd_core.result.paint_on_shot import undo_paint as undo_paint_on_shot
from nvd_core.result.rendering import Format
from nvd_core.shot.compositing import Look
from nvd_core.spec.choices.mask_origins import MaskOrigin
from nvd_core.spec.conventions import Size
from nvd_core.spec.edits import Insert
from nvd_core.spec.errors import NvdError
from nvd_core.spec.protocol import Event
from nvd_core.spec.settings import Job, MaskSource, Settings, plain
from nvd_core.spec.versions import holds_result, next_version

Place: TypeAlias = str | PathLike[str]
Masks: TypeAlias = Mapping[str, Place] | Sequence[MaskSource]

__all__ = [
    "Composite", "Decomposition", "Event", "Look", "MaskSource", "NvdError", "PaintedFrame", "Settings", "Size",
    "decompose", "export_as", "insert", "open", "paint", "render", "score", "undo_paint", "write",
]  # fmt: skip


def decompose(
    clip: Place,
    masks: Masks = (),
    *,
    settings: Settings | None = None,
    out: Place | None = None,
    resume: bool = False,
    replace: bool = False,
    on_event: Callable[[Event], object] = lambda _: None,
) -> Decomposition:
    """Decompose a clip into layers: for each an atlas, a UV pass, an alpha and a multiplicative residual.

    Args:
        clip: a video, a folder of pictures, a pattern (``shot.####.exr``) or a picture.
        masks: of the objects, front to back, by name: a folder, a picture, a video, or ``"alpha"``, the clip's own.
            ``{"car@12": "mask.png"}`` is a mask of frame 12 alone, which is propagated to all others. Whatever no mask
            covers is the background. Without masks, what moves against the camera is segmented.
        settings: how; presets ``"preview"``, ``"standard"`` and ``"final"`` bound time and sharpness.
            ``Settings.of`` takes the command line's texts, such as ``frames="1001-1050"``.
        out: folder of the result. By default the clip's name and ``_nvd``, in a version of its own if there is one.
        resume: reuse checkpoints of a killed or cancelled run of the same job in ``out``.
        replace: overwrite a finished result in ``out``; painted atlases and corrected masks stay.
        on_event: called with every :mod:`nvd_core.spec.protocol` event: stages, progress 0 to 1, cautions. An exception
            in it cancels the job, which can be resumed.

    Returns:
        The decomposition, opened as by :func:`open`.

    Raises:
        NvdError: clip, masks, settings or folder cannot be used, or the machine lacks memory, disk or a package.

    >>> import nvd_core as nvd
    >>> from nvd_core.faces.demo_clip import write_clip
    >>> clip = write_clip(Path("short"), frames=2, size=Size(160, 90))
    >>> seen = []
    >>> preview = nvd.Settings(preset="preview")
    >>> result = nvd.decompose(clip.frames, clip.masks, settings=preview, on_event=seen.append)
    >>> result.folder.name, type(seen[-1]).__name__
    ('demo_nvd', 'Done')
    """
    job = Job(clip=fspath(clip), masks=_sources(masks), settings=check_settings(plain(settings or Settings())))
    folder = Path(out) if out is not None else named_after(job)
    if out is None and not resume and not replace and holds_result(folder):
        folder = next_version(folder)
    pipeline.decompose(job, folder, on_event, resume=resume, replaces=replace)
    return Decomposition.open(folder)


def open(folder: Place) -> Decomposition:  # noqa: A001 (as PIL.Image has it; used with the package's name)
    """Open a finished decomposition.

    Raises:
        NvdError: the folder holds no decomposition, or an unfinished one.

    >>> import nvd_core as nvd
    >>> result = nvd.open("shot_nvd")
    >>> sign = result.frame(2).layers["sign"]
    >>> sign.uv.shape, sign.alpha.shape, sign.residual.shape, sign.surface.shape
    ((90, 160, 2), (90, 160), (90, 160, 3), (90, 160, 3))
    >>> result.atlas("sign").shape[2]
    3

    The maps themselves, evaluated at twice the plate's size without solving again:

    >>> import cv2
    >>> frame, solution = result.frame(2), result.solution()
    >>> plate, *alphas = (
    ...     cv2.resize(one, (320, 180)) for one in (frame.plate, *(layer.alpha for layer in frame.layers.values()))
    ... )
    >>> sign, background = solution.frame(2, plate, tuple(alphas))
    >>> sign.uv_atlas.shape, sign.residual.shape
    ((180, 320, 2), (180, 320, 3))
    """
    return Decomposition.open(Path(folder))


def render(
    decomposition: Decomposition,
    *,
    atlases: Mapping[str, Place] | None = None,
    looks: Mapping[str, Look] | None = None,
    mode: Mode = "keep-plate",
    hidden: Collection[str] = (),
) -> Iterator[Composite]:
    """Re-composite every frame with the atlases as painted now.

    Args:
        decomposition: opened.
        atlases: files in place of the folder's own atlases, by layer.
        looks: opacity, light and gain of layers that are to differ from the shot.
        mode: ``"keep-plate"`` changes only painted pixels of the plate; ``"rebuild"`` composites the layers alone.
        hidden: names of objects that are taken out of the shot; their places show what is behind them.

    Yields:
        ``number`` and ``linear``, the frame: height x width x 3, linear light. Of the ``filled_px`` pixels that
        hidden layers leave to those behind, no frame shows ``invented_px``; these are filled smoothly.

    Raises:
        NvdError: there is no such layer, or an atlas cannot be read.

    >>> import nvd_core as nvd
    >>> result = nvd.open("shot_nvd")
    >>> frames = list(nvd.render(result))
    >>> frames[-1].number, frames[-1].linear.shape
    (4, (90, 160, 3))
    """
    return rendering.render(decomposition, _paths(atlases), mode, looks, hidden)


def insert(
    decomposition: Decomposition,
    layer: str,
    picture: Place,
    corners_px: Sequence[tuple[float, float]] | None = None,
    *,
    frame: int | None = None,
    name: str = "",
    **values: Any,  # noqa: ANN401 (of an insert)
) -> Insert:
    """Pin a picture or a movie to a layer, over what is painted there; its files are copied into the result.

    :func:`render` and Blender's node tree show it in every frame.

    Args:
        decomposition: opened.
        layer: name of the layer.
        picture: a picture, a video, a folder of pictures or a pattern (``logo.####.png``).
        corners_px: upper left, upper right, lower right and lower left corner, px from the upper left of the plate of
            ``frame``, or of the atlas without ``frame``. By default the middle of where the layer is seen.
        frame: plate number of the frame that the corners are on.
        name: of the insert; by default the file's.
        values: other fields of :class:`nvd_core.spec.edits.Insert`, such as ``blend="MULTIPLY"``.

    Raises:
        NvdError: there is no such layer or frame, the picture cannot be read, or the name is taken.

    >>> import nvd_core as nvd
    >>> result = nvd.open("shot_nvd")
    >>> corners_px = [(50, 40), (80, 42), (79, 60), (49, 58)]
    >>> nvd.insert(result, "background", result.folder / "report/contact_sheet.png", corners_px, frame=2).file
    'edits/contact_sheet.png'
    """
    return insert_picture(decomposition, layer, Path(picture), corners_px, frame, name, **values)


def write(
    decomposition: Decomposition,
    out: Place,
    *,
    atlases: Mapping[str, Place] | None = None,
    looks: Mapping[str, Look] | None = None,
    mode: Mode = "keep-plate",
    hidden: Collection[str] = (),
    file_format: Format = "png",
    replace: bool = False,
) -> list[Path]:
    """Render into a folder of pictures or into a video; see :func:`render`.

    Args:
        decomposition: opened.
        out: ``.mp4``, ``.mov`` or ``.mkv`` for a video (H.264, Rec.709), else a folder.
        atlases: as in :func:`render`.
        looks: as in :func:`render`.
        mode: as in :func:`render`.
        hidden: as in :func:`render`.
        file_format: of pictures: ``"png"``, 8 bits, or ``"exr"``, linear floats.
        replace: overwrite existing files, such as those of an earlier render.

    Returns:
        Paths of the written files, each once.

    Raises:
        NvdError: as :func:`render`; also if a frame would overwrite an input, or an existing file without ``replace``.

    >>> import nvd_core as nvd
    >>> [path.name for path in nvd.write(nvd.open("shot_nvd"), "edited")][:2]
    ['demo.0001.png', 'demo.0002.png']
    """
    paths = _paths(atlases)
    frames = rendering.render(decomposition, paths, mode, looks, hidden)
    with (
        closing(frames),
        rendering.frame_writer(decomposition, Path(out), file_format, paths.values(), replaces=replace) as write_one,
    ):
        return list(dict.fromkeys(write_one(frame) for frame in frames))


def paint(
    decomposition: Decomposition, number: int, picture: Place, *, layer: str | None = None, finer: bool = False
) -> PaintedFrame:
    """Paint on the picture of one frame: the strokes go into the folder's atlases, and every frame follows.

    The layers seen under the strokes get them, divided by their residual: this frame shows the painted colour, the
    others show it in their own light. Where atlases are painted already, the new strokes lie over the old ones.

    Args:
        decomposition: opened.
        number: of the frame.
        picture: of the plate's size: transparent, with the strokes alone; or opaque, the plate or the rendered frame
            with strokes on it. 8 and 16 bits are mixed as displayed, floats in linear light.
        layer: name of the layer that alone gets paint.
        finer: enlarge an atlas threefold where it has too few texels for sharp strokes.

    Returns:
        Number of painted texels of each layer; of ``pixels`` that one layer makes up, ``off`` show another colour than
        was painted, by more than 2/255.

    Raises:
        NvdError: there is no such frame or layer, the picture cannot be used, or nothing is painted where a layer is
            seen. Nothing is changed then.

    >>> import cv2
    >>> import numpy as np
    >>> import nvd_core as nvd
    >>> result = nvd.open("shot_nvd")
    >>> sheet = np.zeros((90, 160, 4), np.uint8)
    >>> _ = cv2.imwrite("sheet.png", cv2.circle(sheet, (80, 45), 10, (0, 0, 255, 255), -1))
    >>> painted = nvd.paint(result, 2, "sheet.png", finer=True)
    >>> sorted(painted.texels), painted.off / painted.pixels < 0.01
    (['background', 'sign'], True)
    >>> [path.name for path in nvd.undo_paint(result)]
    ['sign.exr', 'background.exr']
    """
    return paint_on_shot(decomposition, number, Path(picture), layer, finer=finer)


def undo_paint(decomposition: Decomposition) -> list[Path]:
    """Restore the atlases of before the last :func:`paint`; called again, those of after it.

    Returns:
        Paths of the restored atlases.

    Raises:
        NvdError: there is nothing to undo, or an atlas has been saved or solved anew since.

    >>> import nvd_core as nvd
    >>> [path.name for path in nvd.undo_paint(nvd.open("shot_nvd"))]
    ['sign.exr', 'background.exr']
    """
    return undo_paint_on_shot(decomposition)


def export_as(decomposition: Decomposition, form: str) -> list[Path]:
    """Write a decomposition in another form, for other programs, into its own folder.

    Args:
        decomposition: opened.
        form: ``"stmap"``; all are in :data:`nvd_core.spec.exporters.EXPORTERS`.

    Returns:
        Paths of the written files.

    Raises:
        NvdError: there is no such form, or the files cannot be written.

    >>> import nvd_core as nvd
    >>> nvd.export_as(nvd.open("shot_nvd"), "stmap")[0].name
    'demo.sign.0001.exr'
    """
    return list(run_exporter(decomposition, form))


def score(decomposition: Decomposition) -> dict[str, Any]:
    """Measure the quality of a decomposition on its files.

    Returns:
        ``psnr`` and ``psnr_atlas_only`` (without residual) in dB; by layer the same over its own pixels, and
        ``uv_flow_error_px``; all keys are listed in :func:`nvd_core.quality.measure.measure`.

    >>> import nvd_core as nvd
    >>> nvd.score(nvd.open("shot_nvd"))["psnr"] > 20
    True
    """
    return measure(decomposition)


def _sources(masks: Masks) -> tuple[MaskSource, ...]:
    if isinstance(masks, Mapping):
        return tuple(parse_mask(f"{name}={fspath(path)}") for name, path in masks.items())
    return tuple(replace(one, path=MaskOrigin.parse(str(one.path))) for one in masks)


def _paths(atlases: Mapping[str, Place] | None) -> dict[str, Path]:
    return {layer: Path(path) for layer, path in (atlases or {}).items()}
