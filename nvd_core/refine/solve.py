"""Refine the lattice's maps: solve the lattice, build pictures and flow, train, build atlases by the refined maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from nvd_core.flow.dis import FlowPx, Grey
from nvd_core.image.colour import luma8
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import ALONE, LayerView
from nvd_core.lattice.picture.average import layer_picture
from nvd_core.lattice.picture.light import possible_error_px
from nvd_core.lattice.refine.extrapolate import extrapolate
from nvd_core.lattice.refine.folds import unfold
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.lattice.solution import LatticeSolution, SolvedLayer
from nvd_core.lattice.solve import build_atlases, solve_maps
from nvd_core.refine.losses import Way
from nvd_core.refine.surface import CELLS
from nvd_core.refine.training import SWEEPS, Refinement, Start
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.devices import versions
from nvd_core.runtime.parallel import map_all, map_ordered
from nvd_core.runtime.progress import Progress, Tell
from nvd_core.runtime.training_loop import Limits, train
from nvd_core.shot import Shot
from nvd_core.shot.flow import both_ways, sure_flow
from nvd_core.shot.previews import write_preview
from nvd_core.spec.settings import Settings

_PICTURES: Final = 0.15
"""Rough share of refining that flow and pictures take."""

_DENSITY: Final = 2.0
"""Texels of a picture per working pixel: sampled bilinearly, one loses detail, two do not."""

_ERROR_FRAMES: Final = 8
"""About the number of frames that a map's possible error is measured in."""


def solve_from_lattice(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, device: torch.device, progress: Progress
) -> LatticeSolution:
    """Solve the lattice and refine its maps by gradient descent; see :func:`nvd_core.solvers.neural.solve`."""
    maps = solve_maps(shot, settings, checkpoints, progress)
    refined = _refined_maps(shot, settings, checkpoints, device, maps, progress.stage("refine"))
    solved = build_atlases(shot, settings, checkpoints, refined, progress)
    measured = tuple(_measured(shot, index, layer) for index, layer in enumerate(solved))
    return LatticeSolution(measured, shot.numbers, settings.residual, versions(device))


def _refined_maps(
    shot: Shot,
    settings: Settings,
    checkpoints: Checkpoints,
    device: torch.device,
    maps: tuple[LayerMap, ...],
    progress: Progress,
) -> list[LayerMap]:
    """Refine the maps, or load them from the checkpoint.

    The checkpoint counts for every device: finished atlases may have been built by those maps.
    """
    kinds = {name: mapping.lattice.kind_of(len(shot.numbers)) for name, mapping in zip(shot.names, maps, strict=True)}
    kept = checkpoints.load("refined", **kinds)
    if kept is None:
        preparing, training = progress.split(_PICTURES, 1 - _PICTURES)
        start = _prepare(shot, maps, preparing)
        refinement = Refinement(shot, start, seed=settings.seed, device=device)
        train(
            refinement,
            Limits.of(settings, SWEEPS * refinement.count),
            checkpoints,
            training,
            name=f"refining-{device.type}",
            show=lambda: _preview(refinement, shot.names, checkpoints.folder, progress.tell),
        )
        views = [LayerView(shot.frames, alpha) for alpha in shot.alphas]
        refined = [
            extrapolate(view, unfold(view, surface.map()))
            for view, surface in zip(views, refinement.surfaces, strict=True)
        ]
        kept = {name: mapping.nodes for name, mapping in zip(shot.names, refined, strict=True)}
        checkpoints.save("refined", kept)
    return [replace(mapping, nodes=kept[name]) for name, mapping in zip(shot.names, maps, strict=True)]


def _prepare(shot: Shot, maps: tuple[LayerMap, ...], progress: Progress) -> Start:
    """Compute optical flow and the layers' pictures, which training starts from."""
    comparing, averaging = progress.split(2, 8)
    greys = [luma8(frame) for frame in shot.frames]
    flows = map_all(lambda t: _sure(shot, greys, t), range(len(greys) - 1), comparing.stage("flow"))
    ways, pictures = [], []
    for (name, mapping, alpha), part in averaging.each(list(zip(shot.names, maps, shot.alphas, strict=True))):
        stage, layer = part.stage("picture", name), LayerView(shot.frames, alpha)
        ways.append([_way(layer, mapping, t, *flow) for t, flow in enumerate(flows)])
        pictures.append(layer_picture(layer, mapping, density=_DENSITY, progress=stage))
    return Start(maps, pictures, ways)


def _sure(shot: Shot, greys: Sequence[Grey], t: int) -> tuple[FlowPx, np.ndarray]:
    forward, backward = both_ways(shot, greys, t)
    return forward, sure_flow(forward, backward)


def _way(layer: LayerView, mapping: LayerMap, t: int, flow_px: FlowPx, is_sure: np.ndarray) -> Way | None:
    """Flow vectors that stay in the layer, about one per trained node; None if there is none."""
    every = max(1, round(layer.size.width / CELLS[-1]))
    rows, columns = np.nonzero(is_sure[::every, ::every] & (layer.alpha[t][::every, ::every] > ALONE))
    here = np.stack([columns, rows], axis=-1).astype(np.float32) * every
    there = here + flow_px[rows * every, columns * every]
    if len(here):
        arrives = warp(layer.alpha[t + 1], there[None])[0] > ALONE
        here, there = here[arrives], there[arrives]
    if not len(here):
        return None
    ends = [mapping.lattice.near(mapping.nodes[at], points) + points for at, points in ((t, here), (t + 1, there))]
    return Way(*(torch.from_numpy(part) for part in (here, there, ends[1] - ends[0])))


def _measured(shot: Shot, index: int, layer: SolvedLayer) -> SolvedLayer:
    """The same layer with its map's possible error, measured in a few frames."""
    view, surface = LayerView(shot.frames, shot.alphas[index]), layer.atlas[..., :3].astype(np.float32)

    def seen(t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        texels = layer.canvas.texels(layer.mapping.positions(t))
        return view.linear(t), warp(surface, texels), view.alpha[t] / np.float32(255)

    some = view.visible[:: max(1, len(view.visible) // _ERROR_FRAMES)]
    return replace(layer, off_px=possible_error_px(map_ordered(seen, some)))


def _preview(refinement: Refinement, layers: Sequence[str], folder: Path, tell: Tell) -> None:
    """Write every layer's box in the middle frame, rendered in the current state."""
    for index, name in enumerate(layers):
        drawn = refinement.drawn(index, refinement.count // 2)
        if drawn is not None:
            picture = (drawn.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
            write_preview(picture.cpu().numpy(), name, folder, tell)
