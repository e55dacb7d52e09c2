"""The lattice solver: the steps in their order; first the maps of all layers, then their atlases."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import UInt8

from nvd_core.checkpoints import Checkpoints
from nvd_core.clip.colour import display_from_linear, to_display, to_uint8
from nvd_core.lattice.atlas import LARGEST, Atlas, build_atlas
from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture import Frame, lay_out
from nvd_core.lattice.solution import LatticeSolution, SolvedLayer
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.lattice.windows import Parts, solve_map
from nvd_core.previews import write_preview
from nvd_core.protocol import Event, Progress, Stage
from nvd_core.settings import QUALITY, Quality, Settings
from nvd_core.shot import Shot
from nvd_core.steps import Result, mapped, part_of

_CELLS: Final = 192
"""Lattice cells across the frame of a finished map."""

_MAPS: Final = 0.7
"""Rough part of the work that maps take; the atlases take the rest."""


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints) -> Generator[Event, None, LatticeSolution]:
    """Decompose a shot.

    Yields:
        Stages, progress from 0 to 1, and a preview of every atlas.

    Returns:
        The solution.
    """
    maps = yield from part_of(solve_maps(shot, settings, checkpoints), 0, _MAPS)
    layers = yield from part_of(build_atlases(shot, settings, checkpoints, maps), _MAPS, 1 - _MAPS)
    return LatticeSolution(layers, shot.numbers, settings.residual)


def solve_maps(
    shot: Shot, settings: Settings, checkpoints: Checkpoints
) -> Generator[Event, None, tuple[LayerMap, ...]]:
    """The map of every layer, front to back: steps 1 to 6."""
    quality, maps = QUALITY[settings.preset], []
    for index, name in enumerate(shot.layers):
        yield Stage(name="map", layer=name)
        layer = LayerView.of(shot.frames, shot.alphas[index], shot.flow)
        steps = kept_map(layer, name, checkpoints, quality, settings.window)
        maps.append((yield from _progress(steps, index, len(shot.layers))))
    return tuple(maps)


def build_atlases(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, maps: Sequence[LayerMap]
) -> Generator[Event, None, tuple[SolvedLayer, ...]]:
    """Every layer with its atlas: step 7."""
    quality, layers = QUALITY[settings.preset], []
    density = quality.density * shot.clip.info.size.width / shot.size.width
    for index, (name, mapping) in enumerate(zip(shot.layers, maps, strict=True)):
        yield Stage(name="atlas", layer=name)
        layer = LayerView(shot.frames, shot.alphas[index])
        canvas = lay_out(layer, mapping, density, LARGEST)
        steps = _kept_atlas(shot, layer, index, mapping, canvas, checkpoints, rounds=quality.atlas_rounds)
        atlas = yield from _progress(steps, index, len(shot.layers))
        yield from write_preview(_small(atlas), name, checkpoints.folder)
        layers.append(SolvedLayer(name, mapping, canvas, atlas))
    return tuple(layers)


def _small(atlas: Atlas) -> UInt8[np.ndarray, "height width 3"]:
    """About as many of its texels as are looked at."""
    every = max(1, max(atlas.shape) // 1024)
    return to_uint8(display_from_linear(atlas[::every, ::every, :3].astype(np.float32)))


def _progress(steps: Generator[float, None, Result], index: int, count: int) -> Generator[Event, None, Result]:
    """Turn a layer's own 0 to 1 into its part of all layers'."""
    return mapped(steps, lambda done: Progress(done=(index + done) / count))


def kept_map(
    layer: LayerView, name: str, checkpoints: Checkpoints, quality: Quality, window: int
) -> Generator[float, None, LayerMap]:
    """The layer's map, from the checkpoint if it is there."""
    lattice = Lattice(layer.size, (layer.size.width - 1) / _CELLS)
    if (kept := checkpoints.load(f"{name}.map")) is not None:
        return LayerMap(int(kept["reference"][0]), lattice, kept["nodes"])
    if layer.visible:
        mapping = yield from solve_map(layer, lattice, quality, window, Parts(checkpoints, name))
    else:
        mapping = LayerMap(0, lattice, np.zeros((layer.count, lattice.rows, lattice.columns, 2), np.float32))
    checkpoints.save(f"{name}.map", {"nodes": mapping.nodes, "reference": np.array([mapping.reference])})
    return mapping


def _kept_atlas(
    shot: Shot,
    layer: LayerView,
    index: int,
    mapping: LayerMap,
    canvas: Canvas,
    checkpoints: Checkpoints,
    *,
    rounds: int,
) -> Generator[float, None, Atlas]:
    """The layer's atlas, from the checkpoint if it is there."""
    name = shot.layers[index]
    if (kept := checkpoints.load(f"{name}.atlas")) is not None:
        return kept["atlas"]

    def plates() -> Iterator[Frame]:
        for t, frame in zip(layer.visible, shot.plates([shot.numbers[t] for t in layer.visible]), strict=True):
            yield Frame(t, to_display(frame.plate), to_uint8(frame.mattes[index]))

    atlas = yield from build_atlas(layer, mapping, canvas, plates, rounds=rounds, at_once=shot.at_once)
    checkpoints.save(f"{name}.atlas", {"atlas": atlas})
    return atlas
