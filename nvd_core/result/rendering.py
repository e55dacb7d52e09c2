"""Re-composite a decomposition without Blender, by the formulas of its node tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from mimetypes import guess_type
from pathlib import Path
from typing import Final, Literal

import av
import numpy as np

from nvd_core.clip.pictures import write_png
from nvd_core.image.colour import display_from_linear, to_uint8
from nvd_core.image.exr import HALF_MOST, rgba_channels, to_half, write_exr
from nvd_core.result.composite import Composite, Hidden, LayerEdits, Mode, composite
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.insert_pictures import open_inserts
from nvd_core.result.targets import refuse_over, refuse_there
from nvd_core.shot.compositing import Look
from nvd_core.spec.conventions import Size
from nvd_core.spec.edits import NO_EDITS, read_edits
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import atomic, sweep_of
from nvd_core.spec.manifest import Kind
from nvd_core.spec.path_safety import own_names

Format = Literal["png", "exr"]

VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".mkv")


def render(
    decomposition: Decomposition,
    atlases: Mapping[str, Path],
    mode: Mode,
    looks: Mapping[str, Look] | None = None,
    hidden: Collection[str] = (),
) -> Generator[Composite, None, None]:
    """Re-composite every frame.

    Args:
        decomposition: opened.
        atlases: files of painted atlases in place of the folder's own, by layer.
        mode: ``keep-plate`` changes only painted pixels of the plate; ``rebuild`` composites the layers alone.
        looks: opacity, light and gain of layers that are to differ from the shot.
        hidden: names of objects that are taken out; their places show what is behind them.

    Raises:
        InputError: an atlas cannot be read, or a name is not a layer's, or the hidden layer is the background.
    """
    looks, background = looks or {}, decomposition.manifest.background
    unknown = sorted({*atlases, *looks, *hidden} - set(decomposition.manifest.names))
    if unknown:
        raise decomposition.no_layer(unknown[0])
    if background in hidden:
        objects = ", ".join(decomposition.manifest.objects)
        hint = f"The objects are {objects}." if objects else "The result has no object."
        raise InputError("Nothing is behind the background: it cannot be hidden", where=decomposition.folder, hint=hint)
    edits = open_edits(decomposition, atlases)
    kinds: list[Kind] = [layer.kind for layer in decomposition.manifest.layers]
    taken_out = Hidden(frozenset(hidden), decomposition.covered(background)) if hidden else None
    return decomposition.over_frames(lambda frame: composite(frame, kinds, edits, mode, looks, taken_out))


def open_edits(decomposition: Decomposition, atlases: Mapping[str, Path] | None = None) -> dict[str, LayerEdits]:
    """Read all atlases, and open all inserts.

    Args:
        decomposition: opened.
        atlases: see :func:`render`.

    Raises:
        InputError: an atlas or an insert cannot be read.
    """
    names, opened = decomposition.manifest.names, {}
    stacks = read_edits(decomposition.folder, names)
    for name in names:
        original, stack = decomposition.original(name), stacks.get(name, NO_EDITS)
        painted = decomposition.painted(name, (atlases or {}).get(name), original)
        inserts = open_inserts(decomposition.folder, stack.inserts)
        opened[name] = LayerEdits(painted, original, inserts, stack.is_paint_clipped, stack.is_clipped)
    return opened


@contextmanager
def frame_writer(
    decomposition: Decomposition,
    out: Path,
    file_format: Format,
    atlases: Collection[Path] = (),
    *,
    replaces: bool = False,
) -> Iterator[Callable[[Composite], Path]]:
    """Open a writer of rendered frames: a function that writes one frame to a video or as a picture in a folder.

    Args:
        decomposition: rendered; its plates and files are never overwritten.
        out: ``.mp4``, ``.mov`` or ``.mkv`` for a video (H.264, Rec.709); else a folder.
        file_format: of pictures: 8-bit PNG, or linear EXR in half floats, or in floats if halves would round the plate
            or overflow.
        atlases: files that are read instead of the decomposition's own, and never overwritten either.
        replaces: overwrite existing files of these names; others in the folder stay.

    Raises:
        InputError: a frame would overwrite an input or an existing file, or lie inside the decomposition; or the
            video format is not supported.
    """
    manifest = decomposition.manifest
    pictures = {number: out / f"{manifest.name}.{number:04d}.{file_format}" for number in manifest.source.numbers}
    is_video = out.suffix.lower() in VIDEO_SUFFIXES
    targets = [out] if is_video else list(pictures.values())
    _check_place(decomposition, out)
    refuse_over(decomposition, targets, atlases)
    if not replaces:
        refuse_there(targets)
    sweep_of(targets)
    if is_video:
        with atomic(out) as temporary, _video(temporary, manifest.source.fps, decomposition.size) as encode:

            def write_frame(frame: Composite) -> Path:
                encode(to_uint8(display_from_linear(frame.linear)))
                return out

            yield write_frame
            if not replaces:  # another process may have written it meanwhile
                refuse_there(targets)
        return

    def write_picture(frame: Composite) -> Path:
        path = pictures[frame.number]
        if not replaces:
            refuse_there([path])
        if file_format == "exr":
            picture = np.dstack([frame.linear, np.ones(frame.linear.shape[:2], np.float32)])
            fits = not frame.is_fine and np.abs(picture).max() <= HALF_MOST
            write_exr(path, rgba_channels(to_half(picture) if fits else picture))
        else:
            write_png(path, to_uint8(display_from_linear(frame.linear)))
        return path

    yield write_picture


def _check_place(decomposition: Decomposition, out: Path) -> None:
    """Refuse unsupported video formats, and output inside the decomposition."""
    if out.suffix.lower() not in VIDEO_SUFFIXES and (guess_type(out.name)[0] or "").startswith("video/"):
        raise InputError(f"Videos of the kind {out.suffix} are not written", where=out, hint="Use .mp4, .mov or .mkv.")
    ours = [decomposition.folder / name for name in own_names()]
    if any(out.resolve().is_relative_to(place.resolve()) for place in ours):
        raise InputError(
            "The frames would be written into the decomposition itself", where=out, hint="Choose another place with -o."
        )


@contextmanager
def _video(path: Path, fps: float, size: Size) -> Iterator[Callable[[np.ndarray], None]]:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options={"crf": "14"})
        # 4:2:0 needs even sides; a row or column more does less harm than another aspect.
        stream.width, stream.height = size.width + size.width % 2, size.height + size.height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = 1
        for field in ("color_primaries", "color_trc", "colorspace"):
            setattr(stream.codec_context, field, 1)

        def encode(rgb: np.ndarray) -> None:
            padding = ((0, stream.height - size.height), (0, stream.width - size.width), (0, 0))
            frame = av.VideoFrame.from_ndarray(np.pad(rgb, padding, mode="edge"), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            container.mux(stream.encode(frame))

        yield encode
        container.mux(stream.encode())
