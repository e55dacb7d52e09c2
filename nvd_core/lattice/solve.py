"""The lattice solver: the steps in their order; first the maps of all layers, then their atlases."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from nvd_core.checkpoints import Checkpoints
from nvd_core.clip.colour import display_from_linear, to_display, to_uint8
from nvd_core.lattice.atlas import LARGEST, Atlas, build_atlas
from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.gauge import lay_evenly
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.mapping import FLEXIBLE, RIGID, Stiffness, solve_mapping
from nvd_core.lattice.matches import Matches, Registrar
from nvd_core.lattice.picture import Frame, lay_out, layer_picture
from nvd_core.lattice.refine import mean_error, register_again
from nvd_core.lattice.solution import LatticeSolution, SolvedLayer
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.lattice.start import find_start, most_agreeing
from nvd_core.lattice.unfold import unfold
from nvd_core.previews import write_preview
from nvd_core.protocol import Event, Progress, Stage
from nvd_core.settings import QUALITY, Quality, Settings
from nvd_core.shot import Shot
from nvd_core.steps import Result, mapped, part_of

_CELLS: Final = 192
"""Lattice cells across the frame of a finished map."""

_FLEXIBLE_IF_BELOW: Final = 0.85
"""A layer is flexible where that explains the frames this much better (ratio of errors). Shadows and
reflections make a flexible map of a stiff layer worse, not better, which is what the rule rests on."""

_PAYS_IF_BELOW: Final = 0.97
"""A fine pass is taken only where it makes the error this much smaller: over a shadow it does not."""

_SWIMS_PX: Final = 0.5
"""No pass is taken that makes points swim against optical flow by more than this (median)."""


_MAPS: Final = 0.7
"""Rough part of the work that maps take; the atlases take the rest."""


class Pass(NamedTuple):
    """One registration of all frames.

    Attributes:
        radius: corrections are smoothed over this part of the frame's width.
        must_pay: whether it is taken only if it pays.
    """

    radius: float
    must_pay: bool


_PASSES: Final = {
    "place": (Pass(1 / 16, False), Pass(1 / 42, False), Pass(1 / 128, True)),
    "stiff": (Pass(1 / 42, False), Pass(1 / 42, False), Pass(1 / 128, True)),
    "flexible": (Pass(1 / 128, False), Pass(1 / 128, True), Pass(1 / 256, True), Pass(1 / 256, True)),
}
"""From coarse to fine, by what the layer is: a surrounding, a thing of one piece, a thing that bends."""


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
        steps = _kept_map(LayerView(shot.frames, shot.alphas[index]), name, checkpoints, quality)
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
        yield from write_preview(to_uint8(display_from_linear(atlas[..., :3])), name, checkpoints.folder)
        layers.append(SolvedLayer(name, mapping, canvas, atlas))
    return tuple(layers)


def _progress(steps: Generator[float, None, Result], index: int, count: int) -> Generator[Event, None, Result]:
    """Turn a layer's own 0 to 1 into its part of all layers'."""
    return mapped(steps, lambda done: Progress(done=(index + done) / count))


def _kept_map(
    layer: LayerView, name: str, checkpoints: Checkpoints, quality: Quality
) -> Generator[float, None, LayerMap]:
    """The layer's map, from the checkpoint if it is there."""
    lattice = Lattice(layer.size, (layer.size.width - 1) / _CELLS)
    if (kept := checkpoints.load(f"{name}.map")) is not None:
        return LayerMap(int(kept["reference"][0]), lattice, kept["nodes"])
    if layer.visible:
        mapping = yield from _solve_map(layer, lattice, quality)
    else:
        mapping = LayerMap(0, lattice, np.zeros((layer.count, lattice.rows, lattice.columns, 2), np.float32))
    checkpoints.save(f"{name}.map", {"nodes": mapping.nodes, "reference": np.array([mapping.reference])})
    return mapping


def _solve_map(layer: LayerView, lattice: Lattice, quality: Quality) -> Generator[float, None, LayerMap]:
    """Steps 1 to 5."""
    registrar = Registrar(layer, quality.offsets)
    yield 0.0
    start = find_start(registrar)
    matches = []
    for match in registrar.pairs(start.motions):
        matches.append(match)
        yield 0.15 + 0.2 * len(matches) / registrar.pair_count
    motion = most_agreeing(layer, start, matches)
    solved = {}
    for stiffness in (RIGID, FLEXIBLE) if quality.refines else (RIGID if layer.fills_frame else FLEXIBLE,):
        solved[stiffness] = solve_mapping(layer, start.reference, motion, matches, stiffness).on(lattice)
        yield 0.35 + 0.15 * len(solved)
    stiffness = _fitting(layer, solved)
    mapping = solved[stiffness]
    if layer.fills_frame:
        mapping = lay_evenly(layer, mapping)
    if quality.refines:
        kind = "flexible" if stiffness is FLEXIBLE else "place" if layer.fills_frame else "stiff"
        mapping = yield from _refine(layer, mapping, matches, _PASSES[kind])
    return unfold(layer, mapping)


def _fitting(layer: LayerView, solved: dict[Stiffness, LayerMap]) -> Stiffness:
    """Flexible only where that explains the frames much better."""
    if len(solved) == 1:
        return next(iter(solved))
    some = layer.every(2)
    errors = {}
    for kind, mapping in solved.items():
        picture = layer_picture(some, mapping.every(2), robust=False)
        errors[kind] = mean_error(some, mapping.every(2), picture)
    return FLEXIBLE if errors[FLEXIBLE] < _FLEXIBLE_IF_BELOW * errors[RIGID] else RIGID


def _refine(
    layer: LayerView, mapping: LayerMap, matches: list[Matches], passes: tuple[Pass, ...]
) -> Generator[float, None, LayerMap]:
    """Register again, ever finer, as long as it pays and the surface does not swim."""
    picture = layer_picture(layer, mapping)
    error = mean_error(layer.every(2), mapping.every(2), picture)
    for done, one in enumerate(passes):
        yield 0.65 + 0.35 * done / len(passes)
        moved = register_again(layer, mapping, picture, one.radius * layer.size.width)
        if swimming_px(moved, matches) > max(_SWIMS_PX, swimming_px(mapping, matches)):
            break
        moved_picture = layer_picture(layer, moved, picture)
        moved_error = mean_error(layer.every(2), moved.every(2), moved_picture)
        if one.must_pay and moved_error > _PAYS_IF_BELOW * error:
            break
        mapping, picture, error = moved, moved_picture, moved_error
    return mapping


def swimming_px(mapping: LayerMap, matches: list[Matches]) -> float:
    """Median distance, working px, between where the map and optical flow see a point one frame later."""
    missed = []
    for match in matches:
        if match.frame_b - match.frame_a == 1 and len(match.points_a):
            ends = [(match.frame_a, match.points_a[::8]), (match.frame_b, match.points_b[::8])]
            a, b = (mapping.lattice.near(mapping.nodes[t], points) + points for t, points in ends)
            missed.append(np.linalg.norm(a - b, axis=1))
    return float(np.median(np.concatenate(missed))) if missed else 0.0


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
    """The layer's atlas, from the checkpoint if it is there, rounded to what a file holds of it."""
    name = shot.layers[index]
    if (kept := checkpoints.load(f"{name}.atlas")) is not None:
        return kept["atlas"].astype(np.float32)

    def plates() -> Iterator[Frame]:
        for t, frame in zip(layer.visible, shot.plates([shot.numbers[t] for t in layer.visible]), strict=True):
            yield Frame(t, to_display(frame.plate), to_uint8(frame.mattes[index]))

    atlas = yield from build_atlas(layer, mapping, canvas, plates, rounds)
    rounded = atlas.astype(np.float16)
    checkpoints.save(f"{name}.atlas", {"atlas": rounded})
    return rounded.astype(np.float32)
