"""Read a finished decomposition from its folder: atlases, frames, UV passes, alphas and residuals."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar, final

import numpy as np
from jaxtyping import Float32, Shaped

from nvd_core.clip import Clip, Plate, open_clip
from nvd_core.clip.pictures import has_own_window, read_picture
from nvd_core.image.colour import linear_from_display, opacity_of, to_display, to_linear
from nvd_core.image.exr import HALF_MOST, read_stored, writable
from nvd_core.image.sample import resized
from nvd_core.runtime.checkpoints import AGAIN
from nvd_core.runtime.parallel import WORKERS, map_ordered
from nvd_core.shot.compositing import look_up
from nvd_core.shot.solution import LayerFrame, Solution
from nvd_core.solvers.stored import load_solution
from nvd_core.spec.atlas_faults import check_shape, cropped
from nvd_core.spec.atlas_pairs import Pair
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import solution_path
from nvd_core.spec.manifest import Manifest, inside, read_manifest

Result = TypeVar("Result")

AtlasColour = Float32[np.ndarray, "height width 3"]
PaintedColour = Float32[np.ndarray, "painted_height painted_width 3"]
"""Of an atlas that may have another size than the original."""


class Frame(NamedTuple):
    """One frame of a decomposition, as its files hold it.

    Attributes:
        number: of the plate.
        plate: as decoded from the source.
        layers: by name, front to back.
        rebuilt: reconstruction as exported, linear light.
    """

    number: int
    plate: Plate
    layers: dict[str, LayerFrame]
    rebuilt: Float32[np.ndarray, "height width 3"]


class LayerArrays(NamedTuple):
    """Arrays of one layer in one frame.

    Attributes:
        uv: UV pass, the atlas point of each pixel by STMap convention: 0 to 1, origin at the bottom left.
        alpha: visible alpha of the layer, 0 to 1; all layers sum to 1.
        residual: multiplicative residual, a factor of linear light.
        surface: the atlas as painted now, warped by the UV pass; linear light.
    """

    uv: Float32[np.ndarray, "height width 2"]
    alpha: Float32[np.ndarray, "height width"]
    residual: Float32[np.ndarray, "height width 3"]
    surface: Float32[np.ndarray, "height width 3"]


class FrameArrays(NamedTuple):
    """Arrays of one frame and its layers.

    Attributes:
        number: of the plate.
        plate: linear light.
        layers: by name, front to back; the plate is about the sum of alpha x residual x surface.
    """

    number: int
    plate: Float32[np.ndarray, "height width 3"]
    layers: dict[str, LayerArrays]


@final
@dataclass(frozen=True)
class Decomposition:
    """A finished decomposition: its folder and its manifest.

    Attributes:
        folder: path.
        manifest: content of its ``manifest.json``.
        at_once: number of frames processed at a time, which bounds memory.
    """

    folder: Path
    manifest: Manifest
    at_once: int = WORKERS

    @classmethod
    def open(cls, folder: Path) -> Decomposition:
        """Open a finished decomposition.

        Raises:
            InputError: the folder holds no finished decomposition.
        """
        return cls(folder, read_manifest(folder))

    @property
    def size(self) -> Size:
        """Size of the plate, px."""
        return Size(self.manifest.source.width, self.manifest.source.height)

    @cached_property
    def clip(self) -> Clip:
        """Source clip, opened.

        Raises:
            InputError: it is gone, has another size, or lacks frames.
        """
        clip = open_clip(Path(self.manifest.source.path), self.manifest.source.fps)
        if clip.info.size != self.size:
            raise InputError(
                f"The clip is now {clip.info.size}, it was decomposed at {self.size}", where=clip.info.path
            )
        first, last = self.manifest.source.first, self.manifest.source.last
        if first not in clip.info.numbers or last not in clip.info.numbers:
            raise InputError(f"The clip no longer has the frames {first}-{last}", where=clip.info.path)
        return clip

    def solution(self) -> Solution:
        """Restore the solution from the folder, to read frames of it again, at any size, without solving.

        Visible alpha and light are not stored. So :meth:`nvd_core.shot.solution.Solution.frame` takes the plate and
        the visible alphas: those of :meth:`frame`, or, for the very values of the frame files, which hold half
        floats, those of the masks.

        Raises:
            InputError: the solution is missing, damaged, of another decomposition or of a later version.
            SetupError: it is of networks, and this machine lacks torch or their hash grid.
        """
        atlases = {name: self._stored(name, "RGBA").astype(np.float16) for name in self.manifest.names}
        return load_solution(solution_path(self.folder), self.manifest, atlases)

    def original(self, layer: str) -> AtlasColour:
        """Read a layer's atlas as solved, RGB in linear light.

        Raises:
            InputError: the file cannot be used.
        """
        return self._stored(layer, "RGB")

    def covered(self, layer: str) -> Float32[np.ndarray, "height width"]:
        """Read a layer's coverage: 1 at texels of the atlas that the clip shows, else 0.

        Raises:
            InputError: the file cannot be used.
        """
        return self._stored(layer, "A")[..., 0]

    def _stored(self, layer: str, names: str) -> Float32[np.ndarray, "height width chan"]:
        path = inside(self.folder, self.manifest.original_files[layer])
        return _stacked(read_stored(path)[1], names, f"the original atlas of {layer}", path)

    def painted(
        self, layer: str, path: Path | None = None, original: Float32[np.ndarray, "rows columns 3"] | None = None
    ) -> AtlasColour:
        """Read a layer's atlas as painted now, RGB in linear light.

        Args:
            layer: name of the layer.
            path: file to read instead of the folder's own. An EXR holds the whole atlas; a PNG, JPEG or TIFF
                may be transparent, and is then composited over the original. Its size may differ from the
                original's, but not its aspect.
            original: :meth:`original` of the layer, if the caller has it; the same array is returned if the atlas is
                not painted.

        Raises:
            InputError: the file cannot be read or has another aspect.
        """
        own = inside(self.folder, self.manifest.atlas_files[layer])
        path = path or own
        original = self.original(layer) if original is None else original
        pair = Pair(own, inside(self.folder, self.manifest.original_files[layer]))
        if path == own and own.is_file() and not pair.is_painted:
            return original
        if has_own_window(path):
            raise cropped(layer, path)
        picture = read_picture(path)
        height, width, channels = picture.shape
        if channels < 3:
            raise InputError(f"The atlas of {layer} is grey", where=path, hint="Save it as RGB.")
        check_shape(layer, path, Size(width, height), Size(*original.shape[1::-1]))
        if path.suffix.lower() == ".exr" and picture.dtype.kind == "f":
            return writable(picture[..., :3])
        coded, below = to_display(picture[..., :3]), resized(original, Size(width, height))
        # Such a file clips what is brighter than white: white there is not paint.
        colour = np.where((coded >= 1) & (below > 1), below, linear_from_display(coded))
        opacity = opacity_of(picture)[..., None]
        return colour * opacity + below * (1 - opacity)

    def atlas(self, layer: str) -> AtlasColour:
        """Read a layer's atlas as painted now, linear light; see :meth:`painted`."""
        if layer not in self.manifest.names:
            raise self.no_layer(layer)
        return self.painted(layer)

    def frame(self, number: int) -> FrameArrays:
        """Read one frame with its layers, and the surface of each.

        Raises:
            InputError: there is no such frame, or one of its files cannot be used.
        """
        frame = self.one_frame(number)
        layers = {
            name: LayerArrays(one.uv_atlas, one.alpha, one.residual, look_up(self.painted(name), one.uv_atlas))
            for name, one in frame.layers.items()
        }
        return FrameArrays(number, to_linear(frame.plate), layers)

    def one_frame(self, number: int) -> Frame:
        """Read one frame as its files hold it.

        Raises:
            InputError: there is no such frame, or one of its files cannot be used.
        """
        if number not in self.manifest.source.numbers:
            source = self.manifest.source
            message = f"There is no frame {number}"
            raise InputError(message, where=self.folder, hint=f"The frames are {source.first}-{source.last}.")
        (frame,) = self.frames([number])
        return frame

    def no_layer(self, name: str) -> InputError:
        """Error for the name of a layer that the decomposition does not have."""
        known = ", ".join(self.manifest.names)
        return InputError(f"There is no layer {name!r}", where=self.folder, hint=f"The layers are {known}.")

    def frames(self, numbers: Sequence[int] | None = None) -> Iterator[Frame]:
        """Read frames in order, each with its plate; all of them by default."""
        return self.over_frames(lambda frame: frame, numbers)

    def over_frames(
        self, function: Callable[[Frame], Result], numbers: Sequence[int] | None = None
    ) -> Generator[Result, None, None]:
        """Apply a function to frames on several cores and yield the results in order; frames are not kept."""
        chosen = list(self.manifest.source.numbers if numbers is None else numbers)
        plates = zip(chosen, self.clip.frames(chosen), strict=True)
        return map_ordered(lambda item: function(self._frame(item)), plates, self.at_once)

    def check_frames(self) -> None:
        """Read every frame as :meth:`frames` does, but for the clip, one at a time to spare memory.

        Raises:
            InputError: one of the files cannot be used.
        """
        for number in self.manifest.source.numbers:
            self._arrays(number)

    def _frame(self, item: tuple[int, Plate]) -> Frame:
        number, plate = item
        return Frame(number, plate, *self._arrays(number))

    def _arrays(self, number: int) -> tuple[dict[str, LayerFrame], Float32[np.ndarray, "height width 3"]]:
        """Layers of a frame, front to back, and its reconstruction."""
        path = self.manifest.frame_path(self.folder, number)
        _, channels = read_stored(path)  # as half floats: converting all of them at once would take twice the memory

        def read(*names: str) -> Float32[np.ndarray, "height width chan"]:
            return _stacked(channels, names, f"frame {number}", path, self.size)

        layers = {
            name: LayerFrame(
                uv_atlas=read(f"{name}.uv.X", f"{name}.uv.Y"),
                alpha=read(f"{name}.alpha.V")[..., 0],
                residual=read(*(f"{name}.residual.{axis}" for axis in "RGB")),
            )
            for name in self.manifest.names
        }
        return layers, read(*"RGB")


def _stacked(
    channels: dict[str, Shaped[np.ndarray, "rows columns"]],
    names: Sequence[str],
    what: str,
    path: Path,
    size: Size | None = None,
) -> Float32[np.ndarray, "height width chan"]:
    """Check channels of an EXR of the folder, and stack them into one picture.

    Args:
        channels: of the file; the stacked ones are removed, to free memory.
        names: of the channels to stack.
        what: name of the file in messages.
        path: of the file.
        size: expected size, if known.

    Raises:
        InputError: a channel is missing, has another size, or holds values that no half float has.
    """
    for name in names:
        if name not in channels:
            raise InputError(f"The EXR of {what} lacks the channel {name}", where=path, hint=AGAIN)
        actual = Size(*channels[name].shape[::-1])
        if size and actual != size:
            raise InputError(f"The EXR of {what} is {actual}, the clip was {size}", where=path, hint=AGAIN)
        if not (np.abs(channels[name]) <= HALF_MOST).all():  # NaN fails this comparison, too
            message = f"The channel {name} of {what} holds values that are not numbers, or beyond all bounds"
            raise InputError(message, where=path, hint=AGAIN)
    return np.stack([channels.pop(name) for name in names], axis=-1, dtype=np.float32)
