"""From the lattice: its maps, its pictures, refining, and the atlases through the refined maps."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from nvd_core.checkpoints import Checkpoints
from nvd_core.clip.colour import luma8
from nvd_core.devices import versions
from nvd_core.flow.dis import FlowPx, Grey
from nvd_core.lattice.imaging import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.light import possible_error_px
from nvd_core.lattice.picture import layer_picture
from nvd_core.lattice.solution import LatticeSolution, SolvedLayer
from nvd_core.lattice.solve import build_atlases, solve_maps
from nvd_core.lattice.spline import LayerMap
from nvd_core.lattice.unfold import unfold
from nvd_core.neural.footage import both_ways, sure_flow
from nvd_core.neural.loop import Limits, train
from nvd_core.neural.refine.losses import Way
from nvd_core.neural.refine.surface import CELLS
from nvd_core.neural.refine.training import SWEEPS, Refinement, Start
from nvd_core.parallel import map_ordered
from nvd_core.previews import write_preview
from nvd_core.protocol import Event, Preview, Progress, Stage
from nvd_core.settings import Settings
from nvd_core.shot import Shot
from nvd_core.steps import finished, mapped, part_of, spread

_MAPS, _REFINING = 0.4, 0.5
"""Rough parts of the work; the atlases take the rest."""

_PICTURES: Final = 0.15
"""Rough part of refining that flow and pictures take."""

_DENSITY: Final = 2.0
"""Texels of a picture a working pixel: looked up bilinearly, one loses detail, two do not."""

_INSIDE: Final = 229
"""Flow counts between points whose alpha, of 255, is above this."""

_LOOKS: Final = 8
"""About so many frames say how far a map may be off."""


def solve_from_lattice(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, device: torch.device
) -> Generator[Event, None, LatticeSolution]:
    """Refine what the lattice solves; see :func:`nvd_core.neural.solve.solve`."""
    maps = yield from part_of(solve_maps(shot, settings, checkpoints), 0, _MAPS)
    refined = yield from part_of(_kept_refined(shot, settings, checkpoints, device, maps), _MAPS, _REFINING)
    before = _MAPS + _REFINING
    solved = yield from part_of(build_atlases(shot, settings, checkpoints, refined), before, 1 - before)
    measured = tuple(_measured(shot, index, layer) for index, layer in enumerate(solved))
    return LatticeSolution(measured, shot.numbers, settings.residual, versions(device))


def _kept_refined(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, device: torch.device, maps: tuple[LayerMap, ...]
) -> Generator[Event, None, list[LayerMap]]:
    """The refined maps, from the checkpoint if they are there.

    Atlases may be finished that were made through them, whatever device a resumed job would refine on.
    """
    kept = checkpoints.load("refined")
    if kept is None:
        start = yield from part_of(_prepare(shot, maps), 0, _PICTURES)
        refinement = Refinement(shot, start, seed=settings.seed, device=device)
        steps = train(
            refinement,
            Limits.of(settings, SWEEPS * refinement.count),
            checkpoints,
            name=f"refining-{device.type}",
            show=lambda: _previews(refinement, shot.layers, checkpoints.folder),
        )
        yield from part_of(steps, _PICTURES, 1 - _PICTURES)
        views = [LayerView(shot.frames, alpha) for alpha in shot.alphas]
        refined = [
            finished(unfold(view, surface.map()), lambda _: None)
            for view, surface in zip(views, refinement.surfaces, strict=True)
        ]
        kept = {name: mapping.nodes for name, mapping in zip(shot.layers, refined, strict=True)}
        checkpoints.save("refined", kept)
    return [replace(mapping, nodes=kept[name]) for name, mapping in zip(shot.layers, maps, strict=True)]


def _prepare(shot: Shot, maps: tuple[LayerMap, ...]) -> Generator[Event, None, Start]:
    """Pictures and flow."""
    yield Stage(name="flow")
    greys = [luma8(frame) for frame in shot.frames]
    flows, ways, pictures = [], [], []
    for flow in map_ordered(lambda t: _sure(shot, greys, t), range(len(greys) - 1)):
        flows.append(flow)
        yield Progress(done=0.2 * len(flows) / len(greys))
    for index, (name, mapping) in enumerate(zip(shot.layers, maps, strict=True)):
        yield Stage(name="picture", layer=name)
        layer = LayerView(shot.frames, shot.alphas[index])
        ways.append([_way(layer, mapping, t, *flow) for t, flow in enumerate(flows)])
        steps = layer_picture(layer, mapping, density=_DENSITY)
        steps = spread(steps, 0.2 + 0.8 * index / len(maps), 0.8 / len(maps))
        pictures.append((yield from mapped(steps, lambda done: Progress(done=done))))
        yield Progress(done=0.2 + 0.8 * (index + 1) / len(maps))
    return Start(maps, pictures, ways)


def _sure(shot: Shot, greys: Sequence[Grey], t: int) -> tuple[FlowPx, np.ndarray]:
    forward, backward = both_ways(shot, greys, t)
    return forward, sure_flow(forward, backward)


def _way(layer: LayerView, mapping: LayerMap, t: int, flow_px: FlowPx, is_sure: np.ndarray) -> Way | None:
    """Flow at the layer's pixels, about one for each trained node; None if there is none."""
    every = max(1, round(layer.size.width / CELLS[-1]))
    rows, columns = np.nonzero(is_sure[::every, ::every] & (layer.alpha[t][::every, ::every] > _INSIDE))
    here = np.stack([columns, rows], axis=-1).astype(np.float32) * every
    there = here + flow_px[rows * every, columns * every]
    if len(here):
        arrives = warp(layer.alpha[t + 1], there[None])[0] > _INSIDE
        here, there = here[arrives], there[arrives]
    if not len(here):
        return None
    ends = [mapping.lattice.near(mapping.nodes[at], points) + points for at, points in ((t, here), (t + 1, there))]
    return Way(*(torch.from_numpy(part) for part in (here, there, ends[1] - ends[0])))


def _measured(shot: Shot, index: int, layer: SolvedLayer) -> SolvedLayer:
    """The same layer, with how far its map may be off, from a few frames."""
    view, surface = LayerView(shot.frames, shot.alphas[index]), layer.atlas[..., :3].astype(np.float32)

    def look(t: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        texels = layer.canvas.texels(layer.mapping.positions(t))
        return view.linear(t), warp(surface, texels), view.alpha[t] / np.float32(255)

    some = view.visible[:: max(1, len(view.visible) // _LOOKS)]
    return replace(layer, off_px=possible_error_px(map_ordered(look, some)))


def _previews(refinement: Refinement, layers: Sequence[str], folder: Path) -> Iterator[Preview]:
    """Every layer of the middle frame as it is drawn now, its box only."""
    for index, name in enumerate(layers):
        drawn = refinement.drawn(index, refinement.count // 2)
        if drawn is not None:
            picture = (drawn.clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
            yield from write_preview(picture.cpu().numpy(), name, folder)
