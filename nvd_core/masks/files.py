"""Masks from files: pictures, one picture for all frames, a video, or the alpha of the clip itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Num

from nvd_core.clip import ClipInfo
from nvd_core.clip.pictures import read_picture
from nvd_core.clip.sequence import is_pattern, is_sequence, list_pictures
from nvd_core.clip.unchanged import Unchanged
from nvd_core.clip.video import Video, open_video
from nvd_core.conventions import Size
from nvd_core.errors import InputError
from nvd_core.settings import ALPHA, MaskSource

Matte = Float32[np.ndarray, "height width"]

_OPAQUE: Final = 0.99
"""What lossy codecs make of an alpha of 1 is not below this."""


@final
@dataclass(frozen=True)
class MaskFiles:
    """One object's masks.

    Attributes:
        path: as the user named it.
        size: of the plate, which every mask must have.
        pictures: by the plate's frame number; a single one under every number.
        video: instead of pictures.
        video_first: the plate's number of its first frame.
        is_alpha: whether the alpha alone is meant, that of the plate.
        unchanged: what is known of the job's files.
    """

    path: Path
    size: Size
    pictures: dict[int, Path]
    video: Video | None = None
    video_first: int = 1
    is_alpha: bool = False
    unchanged: Unchanged = field(default_factory=Unchanged)

    def frames(self, numbers: Iterable[int]) -> Iterator[Matte]:
        """Coverage, 0 to 1, in each frame.

        Raises:
            InputError: a mask cannot be read or has another size than the plate.
        """
        if self.video is not None:
            read = self.video.alphas if self.is_alpha else self.video.frames
            for picture in read(number - self.video_first + 1 for number in numbers):
                yield self._checked(picture, self.path)
            return
        for number in numbers:
            file = self.pictures[number]
            with self.unchanged.reading(file):
                picture = read_picture(file)
            if self.is_alpha and picture.shape[2] < 4:
                raise InputError("The picture has no alpha", where=file, hint="Give the object a mask.")
            yield self._checked(picture[..., 3:] if self.is_alpha else picture, file)

    def _checked(self, picture: Num[np.ndarray, "height width chan"], file: Path) -> Matte:
        size = Size(picture.shape[1], picture.shape[0])
        if size != self.size:
            raise InputError(
                f"The mask is {size}, the clip is {self.size}", where=file, hint="Render it at the clip's size."
            )
        return coverage(picture)


def open_mask(mask: MaskSource, clip: ClipInfo, numbers: range) -> MaskFiles:
    """Find one object's masks and match them with frames.

    Args:
        mask: where they are.
        clip: what they are of.
        numbers: plate numbers that are used; there may be masks for these alone, or for the whole clip.

    Raises:
        InputError: there are none, or not as many as frames.
    """
    if mask.path == ALPHA:
        return _open_alpha(clip, numbers)
    path = Path(mask.path)
    if not (path.exists() or is_pattern(path)):
        raise InputError("There is no such mask", where=path, hint="Check the path.")
    if not is_sequence(path):
        video = open_video(path, clip.unchanged)
        if mask.first is None:
            return MaskFiles(path, clip.size, {}, video, _as_many(path, video.info.count, clip, numbers)[0])
        _of_frames(mask.first, video.info.numbers, path, numbers)
        return MaskFiles(path, clip.size, {}, video, numbers.start - mask.first + 1)
    pictures = list_pictures(path, used=numbers)
    if path.is_file():
        return MaskFiles(path, clip.size, dict.fromkeys(numbers, path), unchanged=clip.unchanged)
    if mask.first is not None:
        own = _of_frames(mask.first, pictures, path, numbers)
        pictures = {number: pictures[one] for number, one in zip(numbers, own, strict=True)}
    elif not set(numbers) <= set(pictures):
        pictures = dict(zip(_as_many(path, len(pictures), clip, numbers), pictures.values(), strict=True))
    return MaskFiles(path, clip.size, pictures, unchanged=clip.unchanged)


def _open_alpha(clip: ClipInfo, numbers: range) -> MaskFiles:
    """The clip's own alpha, which must leave something out in one of the frames."""
    if is_sequence(clip.path):
        pictures = dict(zip(clip.numbers, clip.files, strict=True))
        found = MaskFiles(clip.path, clip.size, pictures, is_alpha=True, unchanged=clip.unchanged)
    else:
        found = MaskFiles(clip.path, clip.size, {}, open_video(clip.path, clip.unchanged), is_alpha=True)
    if not any((matte < _OPAQUE).any() for matte in found.frames(numbers)):
        raise InputError("The clip's alpha is 1 everywhere", where=clip.path, hint="Give the object a mask.")
    return found


def coverage(picture: Num[np.ndarray, "height width chan"]) -> Matte:
    """How far a mask picture marks each pixel: its alpha if that says anything, else its brightest channel."""
    values = picture.astype(np.float32)
    if np.issubdtype(picture.dtype, np.integer):
        values /= np.iinfo(picture.dtype).max
    has_alpha = values.shape[2] == 4 and bool((values[..., 3] < 1).any())
    matte = values[..., 3] if has_alpha else values[..., :3].max(axis=-1)
    return np.clip(np.nan_to_num(matte), 0, 1)


def _of_frames(first: int, there: Collection[int], path: Path, numbers: range) -> range:
    """A mask's own numbers, from a first one on, for the frames used."""
    wanted = range(first, first + len(numbers))
    if missing := sorted(set(wanted) - set(there)):
        raise InputError(f"The mask has no frame {missing[0]}", where=path, hint="Give one mask a frame.")
    return wanted


def _as_many(path: Path, count: int, clip: ClipInfo, numbers: range) -> range:
    """The frames that so many masks are for."""
    for frames in (clip.numbers, numbers):
        if count == len(frames):
            return frames
    raise InputError(
        f"There are {count} masks and {clip.count} frames", where=path, hint="Give one mask a frame, or a single one."
    )
