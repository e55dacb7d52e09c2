"""Re-composite a decomposition without Blender, by the formulas of its node tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from mimetypes import guess_type
from pathlib import Path
from typing import Final, Literal, NamedTuple

import av
import numpy as np
from jaxtyping import Float32

from nvd_core.clip import Plate
from nvd_core.clip.pictures import write_png
from nvd_core.image.colour import display_from_linear, to_linear, to_uint8
from nvd_core.image.exr import HALF_MOST, rgba_channels, to_half, write_exr
from nvd_core.result.decomposition import AtlasColour, Decomposition, Frame
from nvd_core.result.targets import refuse_over, refuse_there
from nvd_core.shot.compositing import (
    AS_SHOT,
    Look,
    hole,
    keep_plate,
    light_in_hole,
    look_up,
    rebuild,
    see_through,
)
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import atomic, sweep_of
from nvd_core.spec.manifest import Kind
from nvd_core.spec.path_safety import own_names

Mode = Literal["keep-plate", "rebuild"]
Format = Literal["png", "exr"]

VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".mkv")


class Composite(NamedTuple):
    """A re-composited frame.

    Attributes:
        number: the plate's.
        linear: linear light.
        is_fine: whether the plate is kept and half floats would round it.
        filled_px: number of pixels that hidden layers have left to those behind.
        invented_px: number of those that show the background where no frame does.
    """

    number: int
    linear: Float32[np.ndarray, "height width 3"]
    is_fine: bool = False
    filled_px: int = 0
    invented_px: int = 0


class Hidden(NamedTuple):
    """Layers that are taken out of the shot.

    Attributes:
        names: of the layers.
        covered: atlas coverage of the background, 1 at texels that the clip shows, else 0.
    """

    names: frozenset[str]
    covered: Float32[np.ndarray, "height width"]


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
    originals = {name: decomposition.original(name) for name in decomposition.manifest.names}
    painted = {name: decomposition.painted(name, atlases.get(name), original) for name, original in originals.items()}
    kinds: list[Kind] = [layer.kind for layer in decomposition.manifest.layers]
    taken_out = Hidden(frozenset(hidden), decomposition.covered(background)) if hidden else None
    return decomposition.over_frames(lambda frame: composite(frame, kinds, painted, originals, mode, looks, taken_out))


def composite(
    frame: Frame,
    kinds: Sequence[Kind],
    painted: Mapping[str, AtlasColour],
    originals: Mapping[str, AtlasColour],
    mode: Mode,
    looks: Mapping[str, Look],
    hidden: Hidden | None = None,
) -> Composite:
    """Re-composite one frame; a layer whose painted atlas is the very array of its original is unchanged."""
    if hidden:
        return _without(frame, kinds, painted, originals, mode, looks, hidden)
    of = {name: looks.get(name, AS_SHOT) for name in frame.layers}
    if mode == "rebuild":
        surfaces = {name: look_up(painted[name], layer.uv_atlas) for name, layer in frame.layers.items()}
        opacities = [look.opacity for look in of.values()]
        alphas = see_through([layer.alpha for layer in frame.layers.values()], opacities, kinds)
        lights = [of[name].lit(layer.residual) for name, layer in frame.layers.items()]
        return Composite(frame.number, rebuild(list(zip(alphas, lights, surfaces.values(), strict=True))))
    plate = to_linear(frame.plate)
    edited = plate
    for name, layer in frame.layers.items():
        if painted[name] is originals[name]:
            continue
        surface, original = (look_up(atlas[name], layer.uv_atlas) for atlas in (painted, originals))
        edited = edited + (keep_plate(plate, layer.alpha, layer.residual, surface, original, of[name]) - plate)
    return Composite(frame.number, edited, _is_fine(frame.plate))


def _is_fine(plate: Plate) -> bool:
    """Whether half floats would round a plate; they hold 8 bits."""
    linear = to_linear(plate)
    return plate.dtype != np.uint8 and not np.array_equal(to_half(linear), linear)


def _without(
    frame: Frame,
    kinds: Sequence[Kind],
    painted: Mapping[str, AtlasColour],
    originals: Mapping[str, AtlasColour],
    mode: Mode,
    looks: Mapping[str, Look],
    hidden: Hidden,
) -> Composite:
    """Re-composite one frame of the shot as it would be without some layers: what is behind them is its plate there."""
    matte = hole(sum((frame.layers[name].alpha for name in hidden.names), np.zeros(frame.plate.shape[:2], np.float32)))
    opacities = [float(name not in hidden.names) for name in frame.layers]
    alphas = see_through([layer.alpha for layer in frame.layers.values()], opacities, kinds)
    left = {
        name: replace(layer, alpha=alpha)
        for (name, layer), alpha in zip(frame.layers.items(), alphas, strict=True)
        if name not in hidden.names
    }
    background, behind = [*frame.layers.items()][kinds.index("background")]
    left[background] = replace(left[background], residual=light_in_hole(behind.residual, behind.alpha, matte))
    surfaces = {name: look_up(originals[name], layer.uv_atlas) for name, layer in left.items()}
    shown = rebuild((layer.alpha, layer.residual, surfaces[name]) for name, layer in left.items())
    plate, share = to_linear(frame.plate), matte[..., None]
    clean = frame._replace(plate=np.where(share > 0, plate + share * (shown - plate), plate), layers=left)
    left_kinds: list[Kind] = [kind for name, kind in zip(frame.layers, kinds, strict=True) if name in left]
    filled, covered = matte > 0.5, look_up(hidden.covered[..., None], behind.uv_atlas)[..., 0]
    invented = filled & (left[background].alpha > 0.5) & (covered < 0.5)
    return composite(clean, left_kinds, painted, originals, mode, looks)._replace(
        is_fine=mode == "keep-plate" and _is_fine(frame.plate),
        filled_px=int(np.count_nonzero(filled)),
        invented_px=int(np.count_nonzero(invented)),
    )


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
