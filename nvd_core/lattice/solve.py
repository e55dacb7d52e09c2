"""The lattice solver: the steps in their order, for one layer after the other."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
from jaxtyping import Float32

from nvd_core.checkpoints import Arrays, Checkpoints
from nvd_core.clip import Plate
from nvd_core.clip.colour import to_display, to_linear, to_uint8
from nvd_core.compositing import look_up
from nvd_core.conventions import Size, u_from_x, v_from_y
from nvd_core.lattice.atlas import LARGEST, Atlas, build_atlas
from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.gauge import lay_evenly
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.light import estimate_residual
from nvd_core.lattice.mapping import FLEXIBLE, RIGID, Stiffness, solve_mapping
from nvd_core.lattice.matches import Matches, Registrar
from nvd_core.lattice.picture import Frame, lay_out, layer_picture
from nvd_core.lattice.refine import mean_error, register_again
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.lattice.start import find_start, most_agreeing
from nvd_core.lattice.unfold import unfold
from nvd_core.masks import Matte
from nvd_core.protocol import Event, Progress, Stage
from nvd_core.settings import QUALITY, Quality, Residual, Settings
from nvd_core.shot import Shot
from nvd_core.solution import LayerFrame
from nvd_core.steps import Result, mapped

_CELLS: Final = 192
"""Lattice cells across the frame of a finished map."""

_FLEXIBLE_IF_BELOW: Final = 0.85
"""A layer is flexible where that explains the frames this much better (ratio of errors). Shadows and
reflections make a flexible map of a stiff layer worse, not better, which is what the rule rests on."""

_PAYS_IF_BELOW: Final = 0.97
"""A fine pass is taken only where it makes the error this much smaller: over a shadow it does not."""

_SWIMS_PX: Final = 0.5
"""No pass is taken that makes points swim against optical flow by more than this (median)."""


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


@final
@dataclass(frozen=True)
class SolvedLayer:
    """One layer of a solution.

    Attributes:
        name: of the layer.
        mapping: from frames to the reference plane.
        canvas: the part of the reference plane that the atlas shows.
        atlas: linear, premultiplied, as it is written (rounded to half floats).
    """

    name: str
    mapping: LayerMap
    canvas: Canvas
    atlas: Atlas


@final
@dataclass(frozen=True)
class LatticeSolution:
    """A decomposition by the lattice solver; see :class:`nvd_core.solution.Solution`."""

    solved: tuple[SolvedLayer, ...]
    numbers: range
    residual: Residual

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back."""
        return tuple(layer.name for layer in self.solved)

    @property
    def versions(self) -> dict[str, str]:
        """Nothing but this program's own."""
        return {}

    def atlas(self, layer: str) -> Atlas:
        """The layer's flat picture."""
        return next(one.atlas for one in self.solved if one.name == layer)

    def frame(self, number: int, plate: Plate, mattes: tuple[Matte, ...]) -> tuple[LayerFrame, ...]:
        """All layers of one frame, at the plate's size."""
        linear, t = to_linear(plate), self.numbers.index(number)
        return tuple(
            self._layer_frame(layer, t, linear, alpha) for layer, alpha in zip(self.solved, mattes, strict=True)
        )

    def _layer_frame(
        self, layer: SolvedLayer, t: int, plate: Float32[np.ndarray, "height width 3"], alpha: Matte
    ) -> LayerFrame:
        size = Size(plate.shape[1], plate.shape[0])
        texels = layer.canvas.texels(layer.mapping.positions(t, size))
        columns, rows = layer.canvas.size
        uv_atlas = np.stack([u_from_x(texels[..., 0], columns), v_from_y(texels[..., 1], rows)], axis=-1)
        surface = look_up(layer.atlas[..., :3], uv_atlas)
        return LayerFrame(uv_atlas, alpha, estimate_residual(plate, surface, alpha, self.residual))

    def arrays(self) -> Arrays:
        """All but the atlases, which the decomposition folder holds as pictures."""
        arrays: Arrays = {}
        for layer in self.solved:
            arrays[f"{layer.name}.nodes"] = layer.mapping.nodes
            arrays[f"{layer.name}.reference"] = np.array([layer.mapping.reference])
            arrays[f"{layer.name}.canvas"] = np.array([*layer.canvas.origin_px, layer.canvas.density])
        return arrays


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints) -> Generator[Event, None, LatticeSolution]:
    """Decompose a shot.

    Yields:
        Stages, and progress from 0 to 1.

    Returns:
        The solution.
    """
    quality, count = QUALITY[settings.preset], len(shot.layers)
    solved = []
    for index, name in enumerate(shot.layers):
        layer = LayerView(shot.frames, shot.alphas[index])
        yield Stage(name="map", layer=name)
        steps = _kept_map(layer, name, checkpoints, quality)
        mapping = yield from _progress(steps, index / count, 0.7 / count)
        yield Stage(name="atlas", layer=name)
        canvas = lay_out(layer, mapping, quality.density * shot.clip.info.size.width / shot.size.width, LARGEST)
        steps = _kept_atlas(shot, layer, index, mapping, canvas, checkpoints, rounds=quality.atlas_rounds)
        atlas = yield from _progress(steps, (index + 0.7) / count, 0.3 / count)
        solved.append(SolvedLayer(name, mapping, canvas, atlas))
    return LatticeSolution(tuple(solved), shot.numbers, settings.residual)


def _progress(steps: Generator[float, None, Result], start: float, share: float) -> Generator[Event, None, Result]:
    """Turn a step's own 0 to 1 into its part of the whole."""
    return mapped(steps, lambda done: Progress(done=start + share * done))


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
