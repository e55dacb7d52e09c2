"""Mattes of the objects, and the visible alpha of every layer that follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nvd_core.clip import ClipInfo
from nvd_core.masks.files import MaskFiles, Matte
from nvd_core.spec.conventions import BACKGROUND
from nvd_core.spec.layer_names import check_names
from nvd_core.spec.manifest import Layer
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import MaskSource

__all__ = ["Matte", "Mattes", "open_mattes", "visible_alphas"]


@final
@dataclass(frozen=True)
class Mattes:
    """Mattes of a clip's layers, read frame by frame.

    Attributes:
        layers: front to back; the last is the background.
        sources: mask files of every layer but the background, front to back.
        clip: the clip that they mask.
        locked: whether each layer's alpha is its matte, whatever a solver learns; never the background's.
    """

    layers: tuple[Layer, ...]
    sources: tuple[MaskFiles, ...]
    clip: ClipInfo
    locked: tuple[bool, ...]

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Warnings about masks that were scaled, or matched with frames by order."""
        return tuple(caution for source in self.sources for caution in source.cautions)

    def frames(self, numbers: Iterable[int]) -> Iterator[tuple[Matte, ...]]:
        """Yield the visible alpha of every layer, front to back, in each frame: 0 to 1, at the plate's size."""
        numbers = list(numbers)
        readers = [source.frames(numbers) for source in self.sources]
        for _ in numbers:
            shape = (self.clip.size.height, self.clip.size.width)
            yield visible_alphas([next(reader) for reader in readers], shape)


def open_mattes(masks: Sequence[MaskSource], clip: ClipInfo, numbers: range | None = None) -> Mattes:
    """Open the masks of all objects and match them with the clip's frames.

    Args:
        masks: one of each object, front to back.
        clip: the clip that they mask.
        numbers: plate numbers that are used; all if None. Masks for these alone are enough.

    Raises:
        InputError: a name is no layer's name or occurs twice, or a mask does not fit the clip.
    """
    names = [mask.name for mask in masks]
    check_names(names)
    sources = tuple(mask.path.open(mask.first, clip, clip.numbers if numbers is None else numbers) for mask in masks)
    layers = (*(Layer(name, "object") for name in names), Layer(BACKGROUND, "background"))
    return Mattes(layers, sources, clip, (*(mask.locked for mask in masks), False))


def visible_alphas(coverages: Sequence[Matte], shape: tuple[int, int]) -> tuple[Matte, ...]:
    """Visible alpha of every layer, front to back, the background last; they sum to 1.

    Each object takes what the objects in front of it leave. So masks of whole objects and masks of
    their visible parts both come out right, and two soft edges that meet leave no background between.
    """
    left = np.ones(shape, np.float32)
    alphas = []
    for coverage in coverages:
        alphas.append(np.minimum(coverage, left))
        left = left - alphas[-1]
    return (*alphas, left)
