"""Masks from files: a folder or pattern of pictures, one picture for all frames, or a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32, Num

from nvd_core.clip import ClipInfo
from nvd_core.clip.pictures import read_picture
from nvd_core.clip.sequence import is_pattern, is_sequence, list_pictures
from nvd_core.clip.video import Video, open_video
from nvd_core.conventions import Size
from nvd_core.errors import InputError

Matte = Float32[np.ndarray, "height width"]


@final
@dataclass(frozen=True)
class MaskFiles:
    """One object's masks.

    Attributes:
        path: as the user named it.
        size: of the plate, which every mask must have.
        pictures: by the plate's frame number; a single one under every number.
        video: instead of pictures.
    """

    path: Path
    size: Size
    pictures: dict[int, Path]
    video: Video | None = None
    video_first: int = 1

    def frames(self, numbers: Iterable[int]) -> Iterator[Matte]:
        """Coverage, 0 to 1, in each frame.

        Raises:
            InputError: a mask cannot be read or has another size than the plate.
        """
        if self.video is not None:
            for picture in self.video.frames(number - self.video_first + 1 for number in numbers):
                yield self._checked(picture, self.path)
            return
        for number in numbers:
            file = self.pictures[number]
            yield self._checked(read_picture(file), file)

    def _checked(self, picture: Num[np.ndarray, "height width chan"], file: Path) -> Matte:
        size = Size(picture.shape[1], picture.shape[0])
        if size != self.size:
            raise InputError(
                f"The mask is {size}, the clip is {self.size}", where=file, hint="Render it at the clip's size."
            )
        return coverage(picture)


def open_mask(path: Path, clip: ClipInfo, numbers: range) -> MaskFiles:
    """Find one object's masks and match them with frames, by number or, failing that, by order.

    Args:
        path: folder, pattern, picture or video.
        clip: what they are of.
        numbers: plate numbers that are used; there may be masks for these alone, or for the whole clip.

    Raises:
        InputError: there are none, or not as many as frames.
    """
    if not (path.exists() or is_pattern(path)):
        raise InputError("There is no such mask", where=path, hint="Check the path.")
    if not is_sequence(path):
        video = open_video(path)
        return MaskFiles(path, clip.size, {}, video, _as_many(path, video.info.count, clip, numbers)[0])
    pictures = list_pictures(path)
    if path.is_file():
        return MaskFiles(path, clip.size, dict.fromkeys(numbers, path))
    if not set(numbers) <= set(pictures):
        pictures = dict(zip(_as_many(path, len(pictures), clip, numbers), pictures.values(), strict=True))
    return MaskFiles(path, clip.size, pictures)


def coverage(picture: Num[np.ndarray, "height width chan"]) -> Matte:
    """How far a mask picture marks each pixel: its alpha if that says anything, else its brightest channel."""
    values = picture.astype(np.float32)
    if np.issubdtype(picture.dtype, np.integer):
        values /= np.iinfo(picture.dtype).max
    has_alpha = values.shape[2] == 4 and bool((values[..., 3] < 1).any())
    matte = values[..., 3] if has_alpha else values[..., :3].max(axis=-1)
    return np.clip(np.nan_to_num(matte), 0, 1)


def _as_many(path: Path, count: int, clip: ClipInfo, numbers: range) -> range:
    """The frames that so many masks are for."""
    for frames in (clip.numbers, numbers):
        if count == len(frames):
            return frames
    raise InputError(
        f"There are {count} masks and {clip.count} frames", where=path, hint="Give one mask a frame, or a single one."
    )
