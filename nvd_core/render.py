"""Re-compositing a decomposition without Blender, by the same formulas as its node tree."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from mimetypes import guess_type
from pathlib import Path
from typing import Final, Literal, NamedTuple

import av
import numpy as np
from jaxtyping import Float32

from nvd_core.clip.colour import display_from_linear, to_linear, to_uint8
from nvd_core.clip.pictures import write_png
from nvd_core.compositing import AS_SHOT, Look, keep_plate, look_up, rebuild, see_through
from nvd_core.conventions import Size
from nvd_core.decomposition import AtlasColour, Decomposition, Frame
from nvd_core.errors import InputError
from nvd_core.exr import rgba_channels, write_exr
from nvd_core.folder import atomic, sweep_of

Mode = Literal["keep-plate", "rebuild"]
Format = Literal["png", "exr"]

VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".mkv")


class Composite(NamedTuple):
    """A re-composited frame."""

    number: int
    linear: Float32[np.ndarray, "height width 3"]


def render(
    decomposition: Decomposition, atlases: Mapping[str, Path], mode: Mode, looks: Mapping[str, Look] | None = None
) -> Generator[Composite, None, None]:
    """Re-composite every frame.

    Args:
        decomposition: the folder.
        atlases: painted atlases in place of the folder's own.
        mode: ``keep-plate`` touches only what was painted; ``rebuild`` shows the layers alone.
        looks: opacity and light of layers that are to be shown in another way than in the shot.

    Raises:
        InputError: an atlas cannot be read, or something is for a layer that is not there.
    """
    looks = looks or {}
    unknown = sorted({*atlases, *looks} - set(decomposition.manifest.layers))
    if unknown:
        known = ", ".join(decomposition.manifest.layers)
        raise InputError(
            f"There is no layer {unknown[0]!r}", where=decomposition.folder, hint=f"The layers are {known}."
        )
    painted = {name: decomposition.painted(name, atlases.get(name)) for name in decomposition.manifest.layers}
    originals = {name: decomposition.original(name) for name in decomposition.manifest.layers}
    return decomposition.over_frames(lambda frame: composite(frame, painted, originals, mode, looks))


def composite(
    frame: Frame,
    painted: Mapping[str, AtlasColour],
    originals: Mapping[str, AtlasColour],
    mode: Mode,
    looks: Mapping[str, Look],
) -> Composite:
    """Re-composite one frame with these atlases."""
    surfaces = {name: look_up(painted[name], layer.uv_atlas) for name, layer in frame.layers.items()}
    of = {name: looks.get(name, AS_SHOT) for name in frame.layers}
    if mode == "rebuild":
        alphas = see_through([layer.alpha for layer in frame.layers.values()], [of[name].opacity for name in of])
        lights = [of[name].lit(layer.residual) for name, layer in frame.layers.items()]
        return Composite(frame.number, rebuild(list(zip(alphas, lights, surfaces.values(), strict=True))))
    plate = to_linear(frame.plate)
    edited = plate
    for name, layer in frame.layers.items():
        original = look_up(originals[name], layer.uv_atlas)
        edited = edited + (keep_plate(plate, layer.alpha, layer.residual, surfaces[name], original, of[name]) - plate)
    return Composite(frame.number, edited)


@contextmanager
def frame_writer(decomposition: Decomposition, out: Path, file_format: Format) -> Iterator[Callable[[Composite], Path]]:
    """A function that writes one frame after the other: into a video file, or into a folder as pictures.

    Args:
        decomposition: what is rendered; its plates and files are not written over.
        out: ``.mp4``, ``.mov`` or ``.mkv`` for a video (H.264, Rec.709); else a folder.
        file_format: of the pictures: 8-bit PNG, or linear half-float EXR.

    Raises:
        InputError: the frames would be written over the plates, or into the decomposition; or the kind of
            video is not supported.
    """
    manifest = decomposition.manifest
    pictures = {number: out / f"{manifest.name}.{number:04d}.{file_format}" for number in manifest.source.numbers}
    is_video = out.suffix.lower() in VIDEO_SUFFIXES
    targets = [out] if is_video else list(pictures.values())
    _check_place(decomposition, out, targets)
    sweep_of(targets)
    if is_video:
        with atomic(out) as temporary, _video(temporary, manifest.source.fps, decomposition.size) as encode:

            def write_frame(frame: Composite) -> Path:
                encode(to_uint8(display_from_linear(frame.linear)))
                return out

            yield write_frame
        return

    def write_picture(frame: Composite) -> Path:
        path = pictures[frame.number]
        if file_format == "exr":
            opaque = np.ones((*frame.linear.shape[:2], 1), np.float32)
            write_exr(path, rgba_channels(np.concatenate([frame.linear, opaque], axis=-1).astype(np.float16)))
        else:
            write_png(path, to_uint8(display_from_linear(frame.linear)))
        return path

    yield write_picture


def _check_place(decomposition: Decomposition, out: Path, targets: list[Path]) -> None:
    """Refuse what would cost the user a plate or the decomposition."""
    if out.suffix.lower() not in VIDEO_SUFFIXES and (guess_type(out.name)[0] or "").startswith("video/"):
        raise InputError(f"Videos of the kind {out.suffix} are not written", where=out, hint="Use .mp4, .mov or .mkv.")
    plates = {file.resolve() for file in decomposition.clip.info.files}
    if any(target.resolve() in plates for target in targets):
        raise InputError("The frames would be written over the plates", where=out, hint="Choose another place with -o.")
    ours = [decomposition.folder / name for name in ("frames", "atlas")]
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
