"""A layer in training: its picture, warped by the lattice's map plus trained node displacements."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from nvd_core.image.colour import display_from_linear
from nvd_core.lattice.picture.photometry import Picture
from nvd_core.lattice.register.spline import Lattice, LayerMap, spline_basis
from nvd_core.refine.level import Patch

CELLS: Final = (6, 24, 96)
"""Cells across the frame of the trained lattices, whose displacements add up: coarse ones move large parts of the
layer in a few steps, fine ones follow detail. Measured on cloth: with 43 at most, folds are followed too coarsely
(-0.5 dB); 128 gain nothing."""


@final
class Surface(nn.Module):
    """Layer in training.

    Args:
        mapping: the lattice's map, which training starts from.
        picture: of the layer, through that map.

    Attributes:
        learnt: per frame, displacements of the nodes of each trained lattice, in cells of the finest. Frames share
            none, so that the cost of a step does not grow with the clip.
    """

    def __init__(self, mapping: LayerMap, picture: Picture) -> None:
        super().__init__()
        fine = mapping.lattice
        self._mapping = mapping
        coarse = [Lattice.over(fine.size, cells) for cells in CELLS]
        self._trained = coarse[-1]
        self._nodes = nn.Buffer(torch.from_numpy(mapping.nodes).permute(0, 3, 1, 2).contiguous())
        self._to_trained = nn.ModuleList(_Upsampling(lattice, self._trained) for lattice in coarse[:-1])
        self._to_map = _Upsampling(self._trained, fine)
        self.learnt = [nn.ParameterList(torch.zeros(2, one.rows, one.columns) for one in coarse) for _ in mapping.nodes]
        self._learnt = nn.ModuleList(self.learnt)
        self._canvas = picture.canvas
        self._large = nn.Buffer(_even(torch.from_numpy(display_from_linear(np.maximum(picture.linear, 0)))))
        self._small = nn.Buffer(functional.avg_pool2d(self._large, 2))

    def moves(self, t: int) -> Float[Tensor, "2 row column"]:
        """Trained displacements of a frame on the finest trained lattice, in its cells."""
        *coarse, total = self.learnt[t]
        for upsample, one in zip(self._to_trained, coarse, strict=True):
            total = total + upsample(one)
        return total

    def reference_px(self, t: int, patch: Patch) -> Float[Tensor, "2 height width"]:
        """Map the pixels of a patch to the layer's reference frame, (x, y) in working px.

        It is the same spline as in :meth:`nvd_core.lattice.register.spline.LayerMap.positions`.
        """
        nodes = self._nodes[t] + self.cell_px * self._to_map(self.moves(t))
        moved = patch.down @ nodes @ patch.across.T
        return moved + torch.stack(torch.broadcast_tensors(patch.x_px[None], patch.y_px[:, None]))

    def look_up(self, reference_px: Float[Tensor, "2 height width"], shrink: int) -> Float[Tensor, "3 height width"]:
        """Sample the layer's picture bilinearly, display-encoded; its edges are extended.

        Args:
            reference_px: positions by :meth:`reference_px`.
            shrink: 2 for the picture at half size, against aliasing in smaller frames; 1 for full size.
        """
        origin = reference_px.new_tensor(self._canvas.origin_px)[:, None, None]
        x, y = 2 * self._canvas.density * (reference_px - origin + 0.5)
        height, width = self._large.shape[2:]
        grid = torch.stack([x / width - 1, y / height - 1], -1)[None]
        picture = self._large if shrink == 1 else self._small
        return functional.grid_sample(picture, grid, padding_mode="border", align_corners=False)[0]

    def moved_at(self, t: int, points_px: Float[Tensor, "point 2"]) -> Float[Tensor, "point 2"]:
        """Trained displacements at points of a frame, working px, bilinear between the trained nodes."""
        last = points_px.new_tensor([self._trained.columns - 1, self._trained.rows - 1])
        grid = 2 * points_px / self.cell_px / last - 1
        moves = functional.grid_sample(self.moves(t)[None], grid[None, None], padding_mode="border", align_corners=True)
        return self.cell_px * moves[0, :, 0].T

    @property
    def cell_px(self) -> float:
        """Cell size of the finest trained lattice, working px."""
        return self._trained.cell_px

    def map(self) -> LayerMap:
        """Map of the layer in its current state."""
        with torch.no_grad():
            moves = torch.stack([self._to_map(self.moves(t)) for t in range(len(self._nodes))])
            nodes = self._nodes + self.cell_px * moves
        moved: Float32[np.ndarray, "frame row column 2"] = nodes.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return LayerMap(self._mapping.reference, self._mapping.lattice, moved)


@final
class _Upsampling(nn.Module):
    """Upsample node displacements to a finer lattice, by the spline through them."""

    def __init__(self, source: Lattice, target: Lattice) -> None:
        super().__init__()
        places = target.positions() / source.cell_px
        self._across = nn.Buffer(torch.from_numpy(spline_basis(places[0, :, 0], source.columns)))
        self._down = nn.Buffer(torch.from_numpy(spline_basis(places[:, 0, 1], source.rows)))

    def forward(self, nodes: Float[Tensor, "2 row column"]) -> Float[Tensor, "2 finer_row finer_column"]:
        return self._down @ nodes @ self._across.T


def _even(picture: Float[Tensor, "height width 3"]) -> Float[Tensor, "1 3 even_height even_width"]:
    """Pad a picture to even sides, so that it can be halved."""
    height, width = picture.shape[:2]
    return functional.pad(picture.permute(2, 0, 1)[None], (0, width % 2, 0, height % 2), mode="replicate")
