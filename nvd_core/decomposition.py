"""A finished decomposition, read back from its folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar, final

import numpy as np
from jaxtyping import Float32, Num

from nvd_core.clip import Clip, Plate, open_clip
from nvd_core.clip.colour import linear_from_display, to_display
from nvd_core.clip.pictures import read_picture
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.exr import read_exr
from nvd_core.folder import Manifest, inside, read_manifest
from nvd_core.parallel import WORKERS, map_ordered
from nvd_core.shot import resized
from nvd_core.solution import LayerFrame

Result = TypeVar("Result")
AtlasColour = Float32[np.ndarray, "height width 3"]


class Frame(NamedTuple):
    """One frame of a decomposition.

    Attributes:
        number: the plate's.
        plate: as it was read from the source.
        layers: by name, front to back.
        rebuilt: as it was exported, linear light.
    """

    number: int
    plate: Plate
    layers: dict[str, LayerFrame]
    rebuilt: Float32[np.ndarray, "height width 3"]


@final
@dataclass(frozen=True)
class Decomposition:
    """A decomposition folder and its manifest.

    Attributes:
        folder: where it lies.
        manifest: what it says of itself.
        at_once: so many frames are worked on at a time, which bounds memory.
    """

    folder: Path
    manifest: Manifest
    at_once: int = WORKERS

    @classmethod
    def open(cls, folder: Path) -> Decomposition:
        """Open a finished decomposition.

        Raises:
            InputError: the folder is none.
        """
        return cls(folder, read_manifest(folder))

    @property
    def size(self) -> Size:
        """Of the plate."""
        return Size(self.manifest.source.width, self.manifest.source.height)

    @cached_property
    def clip(self) -> Clip:
        """The source.

        Raises:
            InputError: it is gone, or has another size or lacks frames.
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

    def original(self, layer: str) -> AtlasColour:
        """The atlas as it was solved, linear light."""
        return np.stack([self._original(layer)[axis] for axis in "RGB"], axis=-1)

    def covered(self, layer: str) -> Float32[np.ndarray, "height width"]:
        """Where the clip shows the layer: 1 on the atlas, else 0."""
        return self._original(layer)["A"]

    def _original(self, layer: str) -> dict[str, Float32[np.ndarray, "height width"]]:
        return read_exr(inside(self.folder, self.manifest.original_files[layer]))[1]

    def painted(self, layer: str, path: Path | None = None) -> AtlasColour:
        """The atlas as an artist has it now, linear light.

        Args:
            layer: whose atlas.
            path: another file instead of the folder's own. An EXR holds the whole atlas; a PNG, JPEG or
                TIFF may be transparent, and is then laid over the original. It may be larger or smaller
                than the original, but not of another shape.

        Raises:
            InputError: the file cannot be read or is of another shape.
        """
        path = path or inside(self.folder, self.manifest.atlas_files[layer])
        picture, original = read_picture(path), self.original(layer)
        height, width, channels = picture.shape
        if channels < 3:
            raise InputError(f"The atlas of {layer} is grey", where=path, hint="Save it as RGB.")
        if abs(width / height - original.shape[1] / original.shape[0]) > 2 / height:
            raise InputError(
                f"The atlas is {width}x{height}, that of {layer} is {original.shape[1]}x{original.shape[0]}",
                where=path,
                hint="Keep its shape.",
            )
        if not np.isfinite(picture).all():
            raise InputError("The atlas holds values that are not numbers", where=path, hint="Save it again.")
        if path.suffix.lower() == ".exr":
            return np.ascontiguousarray(picture[..., :3])
        coded, below = to_display(picture[..., :3]), resized(original, Size(width, height))
        # What is brighter than white can only be white in such a file: that is no paint.
        colour = np.where((coded >= 1) & (below > 1), below, linear_from_display(coded))
        opacity = _opacity(picture)[..., None]
        return colour * opacity + below * (1 - opacity)

    def frames(self, numbers: Sequence[int] | None = None) -> Iterator[Frame]:
        """Frames in order, each with its plate."""
        return self.over_frames(lambda frame: frame, numbers)

    def over_frames(
        self, function: Callable[[Frame], Result], numbers: Sequence[int] | None = None
    ) -> Generator[Result, None, None]:
        """What a function makes of each frame, in order; frames themselves are not kept."""
        chosen = list(self.manifest.source.numbers if numbers is None else numbers)
        plates = zip(chosen, self.clip.frames(chosen), strict=True)
        return map_ordered(lambda item: function(self._frame(item)), plates, self.at_once)

    def _frame(self, item: tuple[int, Plate]) -> Frame:
        number, plate = item
        path = self.manifest.frame_path(self.folder, number)
        _, channels = read_exr(path)
        try:
            layers = {name: _layer_frame(channels, name) for name in self.manifest.layers}
            rebuilt = np.stack([channels[axis] for axis in "RGB"], axis=-1)
        except KeyError as error:
            raise InputError(
                f"The EXR lacks the channel {error}", where=path, hint="Run nvd decompose again."
            ) from error
        return Frame(number, plate, layers, rebuilt)


def _opacity(picture: Num[np.ndarray, "height width chan"]) -> Float32[np.ndarray, "height width"]:
    if picture.shape[2] < 4:
        return np.ones(picture.shape[:2], np.float32)
    return to_display(picture[..., 3:])[..., 0] if picture.dtype.kind == "u" else np.clip(picture[..., 3], 0, 1)


def _layer_frame(channels: dict[str, Float32[np.ndarray, "height width"]], name: str) -> LayerFrame:
    return LayerFrame(
        uv_atlas=np.stack([channels[f"{name}.uv.X"], channels[f"{name}.uv.Y"]], axis=-1),
        alpha=channels[f"{name}.alpha.V"],
        residual=np.stack([channels[f"{name}.residual.{axis}"] for axis in "RGB"], axis=-1),
    )
