"""One level of the clip's image pyramid, on the training device."""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nvd_core.image.geometry import Box
from nvd_core.image.sample import resized
from nvd_core.lattice.register.spline import Lattice, spline_basis
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.picture_store import Pictures
from nvd_core.shot import Shot
from nvd_core.spec.conventions import Size, rescale_px


@final
class Patch(NamedTuple):
    """Rectangle of a frame at a level, with the separable spline basis of the layer's map.

    Attributes:
        plate: display-encoded, 0 to 1.
        weight: 1 where the pixel shows this layer alone, else 0.
        x_px: position of its columns, working px.
        y_px: position of its rows, working px.
        across: spline weights of the lattice's columns of nodes.
        down: spline weights of the lattice's rows of nodes.
    """

    plate: Float[Tensor, "3 height width"]
    weight: Float[Tensor, "height width"]
    x_px: Float[Tensor, " width"]
    y_px: Float[Tensor, " height"]
    across: Float[Tensor, "width column"]
    down: Float[Tensor, "height row"]


@final
class Level:
    """All frames and alphas at one size.

    Args:
        shot: the clip at working size.
        lattice: of the maps, over the working frame.
        shrink: working size divided by the level's size.
        device: training device.

    Attributes:
        frames: display-encoded, 0 to 255.
        alphas: visible alpha of each layer, 0 to 255.
    """

    def __init__(self, shot: Shot, lattice: Lattice, shrink: int, device: torch.device) -> None:
        width, height = (max(2, side // shrink) for side in shot.size)
        self.shrink = shrink
        self.frames = _at(shot.frames, Size(width, height), device)
        self.alphas = [_at(alpha, Size(width, height), device) for alpha in shot.alphas]
        self._x_px, self._across = _axis(width, shot.size.width, lattice.cell_px, lattice.columns, device)
        self._y_px, self._down = _axis(height, shot.size.height, lattice.cell_px, lattice.rows, device)

    def patch(self, layer: int, t: int, box: Box) -> Patch:
        """Cut a layer's box out of a frame.

        Args:
            layer: its index, front to back.
            t: index of the frame.
            box: at working size.
        """
        last = Box(*(-(-side // self.shrink) for side in box))
        rows, columns = Box(box.left // self.shrink, box.top // self.shrink, last.right, last.bottom).slices
        return Patch(
            plate=self.frames[t, rows, columns].permute(2, 0, 1).float() / 255,
            weight=(self.alphas[layer][t, rows, columns] > _ALONE).float(),
            x_px=self._x_px[columns],
            y_px=self._y_px[rows],
            across=self._across[columns],
            down=self._down[rows],
        )


_ALONE = 242
"""Alpha, of 255, above which a pixel counts as showing the layer alone."""


def _at(
    pictures: Pictures | UInt8[np.ndarray, "frame height width *chan"], size: Size, device: torch.device
) -> UInt8[Tensor, "frame lines columns *chan"]:
    if (pictures.shape[2], pictures.shape[1]) == size:
        return torch.from_numpy(np.asarray(pictures)).to(device)
    return torch.from_numpy(np.stack(list(map_ordered(lambda one: resized(one, size), pictures)))).to(device)


def _axis(
    count: int, whole: int, cell_px: float, nodes: int, device: torch.device
) -> tuple[Float[Tensor, " pixel"], Float[Tensor, "pixel node"]]:
    """Positions of a level's pixels along an axis, working px, and the lattice's spline basis there."""
    at = rescale_px(np.arange(count, dtype=np.float64), count, whole)
    basis = torch.from_numpy(spline_basis(at / cell_px, nodes)).to(device)
    return torch.from_numpy(at.astype(np.float32)).to(device), basis
