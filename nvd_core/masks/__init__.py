"""Masks of the objects, and the visible alpha of every layer that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nvd_core.clip import ClipInfo
from nvd_core.conventions import BACKGROUND
from nvd_core.errors import InputError
from nvd_core.folder import LAYER_NAME
from nvd_core.masks.files import MaskFiles, Matte, open_mask
from nvd_core.settings import MaskSource

__all__ = ["Matte", "Mattes", "open_mattes", "visible_alphas"]


@final
@dataclass(frozen=True)
class Mattes:
    """The layers' mattes.

    Attributes:
        layers: names, front to back; the last is the background.
        sources: of all but the background.
        clip: whose plate they belong to.
        locked: whether each layer's alpha is its matte, whatever a solver learns; never the background's.
    """

    layers: tuple[str, ...]
    sources: tuple[MaskFiles, ...]
    clip: ClipInfo
    locked: tuple[bool, ...]

    def frames(self, numbers: Iterable[int]) -> Iterator[tuple[Matte, ...]]:
        """Visible alpha of every layer in each frame, at the plate's size."""
        numbers = list(numbers)
        readers = [source.frames(numbers) for source in self.sources]
        for _ in numbers:
            shape = (self.clip.size.height, self.clip.size.width)
            yield visible_alphas([next(reader) for reader in readers], shape)


def open_mattes(masks: Sequence[MaskSource], clip: ClipInfo, numbers: range | None = None) -> Mattes:
    """Find the masks of all objects.

    Args:
        masks: front to back.
        clip: what they are of.
        numbers: plate numbers that are used; all if None. Masks for these alone are enough.

    Raises:
        InputError: a name is no layer's name or there twice, or a mask does not fit the clip.
    """
    names = [mask.name for mask in masks]
    check_names(names)
    sources = tuple(open_mask(mask, clip, clip.numbers if numbers is None else numbers) for mask in masks)
    return Mattes((*names, BACKGROUND), sources, clip, (*(mask.locked for mask in masks), False))


def check_names(names: Sequence[str]) -> None:
    """Refuse what no layer can be called.

    Raises:
        InputError: a name is no layer's name, or there twice.
    """
    small = [name.casefold() for name in names]
    for name in names:
        if not LAYER_NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot be the name of a layer", hint="Use letters, digits, _ and -; a letter first."
            )
        if name.casefold() == BACKGROUND or small.count(name.casefold()) > 1:  # one file, on most disks
            raise InputError(f"There is more than one layer {name!r}", hint="Give every mask a name of its own.")


def visible_alphas(coverages: Sequence[Matte], shape: tuple[int, int]) -> tuple[Matte, ...]:
    """What is seen of each layer, front to back, the background last; they sum to 1.

    Each object takes what the objects before it have left. So masks of whole objects and masks of
    their visible parts both come out right, and two soft edges that meet leave no background between.
    """
    left = np.ones(shape, np.float32)
    alphas = []
    for coverage in coverages:
        alphas.append(np.minimum(coverage, left))
        left = left - alphas[-1]
    return (*alphas, left)
