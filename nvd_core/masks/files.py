"""Masks read from files: pictures, one picture for all frames, a video, or the alpha of the clip itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Num

from nvd_core.clip import ClipInfo
from nvd_core.clip.pictures import read_mask
from nvd_core.clip.sequence import is_pattern, is_sequence, list_pictures, spans
from nvd_core.clip.unchanged import Unchanged
from nvd_core.clip.video import Video, open_video
from nvd_core.image.geometry import size_of
from nvd_core.image.sample import resized
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution

Matte = Float32[np.ndarray, "height width"]

_OPAQUE: Final = 0.99
"""Least alpha that counts as 1: lossy codecs do not go below."""

_FAINT: Final = 0.9
"""Least coverage of a mask's most covered pixel, below which the mask may hold numbers or colours of objects."""


@final
@dataclass(frozen=True)
class MaskFiles:
    """Files of one object's masks, matched with the plate's frames.

    Attributes:
        path: as the user named it.
        size: of the plate, to which masks are scaled.
        pictures: by the plate's frame number; a single picture stands under every number.
        video: instead of pictures.
        video_first: plate number of the video's first frame.
        is_alpha: whether the mask is the clip's own alpha.
        unchanged: guards the job's files against changes while they are read.
        cautions: warnings about masks that were scaled, or matched with frames by order.
    """

    path: Path
    size: Size
    pictures: dict[int, Path]
    video: Video | None = None
    video_first: int = 1
    is_alpha: bool = False
    unchanged: Unchanged = field(default_factory=Unchanged)
    cautions: tuple[Caution, ...] = ()

    def files(self, numbers: Iterable[int]) -> list[Path]:
        """List the files of these frames' masks, each once."""
        return list(dict.fromkeys(self.pictures[number] for number in numbers)) if self.pictures else [self.path]

    def frames(self, numbers: Iterable[int]) -> Iterator[Matte]:
        """Read the matte of each frame, 0 to 1, at the plate's size.

        Raises:
            InputError: a mask cannot be read or has another aspect than the plate.
        """
        if self.video is not None:
            read = self.video.alphas if self.is_alpha else self.video.frames
            for picture in read(number - self.video_first + 1 for number in numbers):
                yield fitted(coverage(picture), self.size, self.path)
            return
        for number in numbers:
            file = self.pictures[number]
            with self.unchanged.reading(file):
                picture = read_mask(file)
            if self.is_alpha and picture.shape[2] < 4:
                raise InputError("The picture has no alpha", where=file, hint="Give the object a mask.")
            yield fitted(coverage(picture[..., 3:] if self.is_alpha else picture), self.size, file)


def fitted(matte: Float32[np.ndarray, "rows columns"], size: Size, file: Path) -> Matte:
    """Resize a matte to the plate's size.

    Raises:
        InputError: its aspect is not the plate's.
    """
    _scaling(size_of(matte), size, file)
    return resized(matte, size)


def scaling(file: Path, size: Size) -> Caution | None:
    """Warn of a mask picture that must be scaled to the plate's size; None if it need not be.

    Raises:
        InputError: it cannot be read, or its aspect is not the plate's.
    """
    height, width, _ = read_mask(file).shape
    return _scaling(Size(width, height), size, file)


def _scaling(own: Size, size: Size, file: Path) -> Caution | None:
    if own == size:
        return None
    height, width = own.width * size.height / size.width, own.height * size.width / size.height
    if abs(own.height - height) > 1 and abs(own.width - width) > 1:  # more than rounding does
        raise InputError(
            f"The mask is {own}, the clip is {size}", where=file, hint="Render it at the clip's size, or its aspect."
        )
    return Caution(
        message=f"{file.name} is {own} and the clip is {size}: the mask is scaled",
        hint="Masks of the clip's own size have truer edges.",
    )


def faint(mask: str, most: float) -> Caution | None:
    """Warn of a mask whose most covered pixel is covered by ``most``, 0 to 1, if that is not nearly all."""
    if most >= _FAINT:
        return None
    return Caution(
        message=f"{mask} covers no pixel by more than {most:.0%}: its paint shows no stronger",
        hint="White marks the object. Of numbers or colours of objects, write a white mask for each.",
    )


def open_files(text: str, first: int | None, clip: ClipInfo, numbers: range) -> MaskFiles:
    """Open one object's masks at a path and match them with frames.

    Args:
        text: path of a folder, a pattern, a picture or a video.
        first: the mask's own number for the first frame used, if it is known.
        clip: the clip that they mask.
        numbers: plate numbers that are used; there may be masks for these alone, or for the whole clip.

    Raises:
        InputError: there are none, or their numbers do not match the frames.
    """
    path = Path(text)
    if not (path.is_file() or path.is_dir() or is_pattern(path)):
        raise InputError("There is no such mask", where=path, hint="Check the path.")
    if not is_sequence(path):
        video = open_video(path, clip.unchanged)
        own, caution = _matched(path, first, video.info.numbers, clip, numbers, are_counted=True)
        cautions = tuple(filter(None, (caution, _scaling(video.info.size, clip.size, path))))
        return MaskFiles(path, clip.size, {}, video, numbers.start - own.start + 1, cautions=cautions)
    pictures, caution = list_pictures(path, complete=False), None
    if path.is_file():
        pictures = dict.fromkeys(numbers, path)
    else:
        own, caution = _matched(path, first, pictures, clip, numbers)
        pictures = {number: pictures[one] for number, one in zip(numbers, own, strict=True)}
    with clip.unchanged.reading(pictures[numbers.start]):
        cautions = tuple(filter(None, (caution, scaling(pictures[numbers.start], clip.size))))
    return MaskFiles(path, clip.size, pictures, unchanged=clip.unchanged, cautions=cautions)


def open_alpha(clip: ClipInfo, numbers: range) -> MaskFiles:
    """Open the clip's own alpha, which must not be 1 everywhere in all frames used."""
    if is_sequence(clip.path):
        pictures = dict(zip(clip.numbers, clip.files, strict=True))
        alpha = MaskFiles(clip.path, clip.size, pictures, is_alpha=True, unchanged=clip.unchanged)
    else:
        alpha = MaskFiles(clip.path, clip.size, {}, open_video(clip.path, clip.unchanged), is_alpha=True)
    if not any((matte < _OPAQUE).any() for matte in alpha.frames(numbers)):
        raise InputError("The clip's alpha is 1 everywhere", where=clip.path, hint="Give the object a mask.")
    return alpha


def coverage(picture: Num[np.ndarray, "height width chan"]) -> Matte:
    """Matte of a mask picture, 0 to 1: its alpha, or its brightest channel if it has no alpha below 1."""
    values = picture.astype(np.float32)
    if np.issubdtype(picture.dtype, np.integer):
        values /= np.iinfo(picture.dtype).max
    has_alpha = values.shape[2] == 4 and bool((values[..., 3] < 1).any())
    matte = values[..., 3] if has_alpha else values[..., :3].max(axis=-1)
    return np.clip(matte, 0, 1)


def _matched(
    path: Path,
    own_first: int | None,
    there: Collection[int],
    clip: ClipInfo,
    numbers: range,
    *,
    are_counted: bool = False,
) -> tuple[range, Caution | None]:
    """Match masks with the frames used: the masks' own numbers of these, and a warning if they were matched by order.

    Masks may be numbered as the clip is; or anew, from 0, 1 or any number that the clip does not have, and are then as
    many as the clip has frames, or as are used of it. A video's frames are counted from 1.
    """
    first, last = min(there), max(there)
    are_anew = first in {0, 1} or not set(there) & set(clip.numbers)
    said = f"There are {len(there)} masks, numbered {first}-{last}, and {clip.count} frames, numbered "
    said += f"{clip.numbers[0]}-{clip.numbers[-1]}"
    if own_first is not None:
        start = own_first
    elif last - first + 1 == clip.count and (are_anew or first == clip.first):
        start = first + numbers.start - clip.first
    elif not are_counted and (set(numbers) <= set(there) or not are_anew):
        start = numbers.start
    elif len(there) == len(numbers):
        start = first
    else:
        used = "" if numbers == clip.numbers else f", of which {numbers[0]}-{numbers[-1]} are used"
        hint = "Give the masks the numbers of their frames, or as many as there are frames, or a single one."
        raise InputError(said + used, where=path, hint=hint)
    own = range(start, start + len(numbers))
    if missing := sorted(set(own) - set(there)):
        raise InputError(f"The masks lack {spans(missing)}", where=path, hint="Give one mask a frame.")
    is_plain = own_first is not None or (start == numbers.start and set(there) <= set(clip.numbers))
    hint = "Give them the numbers of their frames if that is wrong."
    caution = Caution(message=f"{said}: mask {start} is taken for frame {numbers.start}", hint=hint)
    return own, None if is_plain or (are_counted and len(there) == clip.count) else caution
