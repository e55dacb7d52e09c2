"""Steps 1 to 6 for as many frames as are solved together: one layer's map, and how it came about."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final, NamedTuple

import numpy as np

from nvd_core.lattice.gauge import lay_evenly
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.mapping import RIGID, Stiffness, bending, lattice_of, solve_mapping, starting_map
from nvd_core.lattice.matches import Matches, Registrar
from nvd_core.lattice.picture import layer_picture
from nvd_core.lattice.refine import mean_error, register_again
from nvd_core.lattice.spline import Lattice, LayerMap
from nvd_core.lattice.start import Step, find_start, most_agreeing, seen_again
from nvd_core.lattice.unfold import unfold
from nvd_core.settings import Quality
from nvd_core.steps import gathered, spread

_FLEXIBLE_IF_BELOW: Final = 0.85
"""A layer is flexible where that explains the frames this much better (ratio of errors). Shadows and
reflections make a flexible map of a stiff layer worse, not better, which is what the rule rests on."""

_PAYS_IF_BELOW: Final = 0.97
"""A fine pass is taken only where it makes the error this much smaller: over a shadow it does not."""

SWIMS_PX: Final = 0.5
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
"""From coarse to fine, by what the layer is: a surrounding, a thing of one piece, a thing that bends. Where flow is
given it is better than what is found, and every pass has to pay."""


class Solved(NamedTuple):
    """A layer's map.

    Attributes:
        mapping: the map.
        stiffness: with which it was solved.
        passes: registrations that were taken.
    """

    mapping: LayerMap
    stiffness: Stiffness
    passes: tuple[Pass, ...]


def solve_together(
    registrar: Registrar, steps: Sequence[Step], lattice: Lattice, quality: Quality, *, again: bool = False
) -> Generator[float, None, Solved]:
    """The map of all frames of a layer at once.

    Args:
        registrar: of the layer, which is seen in some frame.
        steps: motion from each frame that shows the layer to the next.
        lattice: of the finished map.
        quality: what it may take.
        again: whether frames far apart that show the same are compared, too.

    Yields:
        The part that is done, 0 to 1.
    """
    layer = registrar.layer
    start = yield from spread(find_start(layer, steps), 0, 0.15)
    pairs = registrar.pairs + (seen_again(layer, start, registrar.offsets[-1]) if again else [])
    matches = yield from spread(gathered(registrar.matches(start.motions, pairs), len(pairs)), 0.15, 0.2)
    motion = most_agreeing(layer, start, matches)
    solved = {}
    kinds = (RIGID, bending(layer)) if quality.refines else (RIGID if layer.fills_frame else bending(layer),)
    for index, stiffness in enumerate(kinds):
        begin = starting_map(lattice_of(layer, stiffness), layer, start.reference, motion)
        solving = solve_mapping(layer, begin, matches, stiffness, [start.reference])
        mapping = yield from spread(solving, 0.35 + 0.3 * index / len(kinds), 0.3 / len(kinds))
        solved[stiffness] = mapping.on(lattice)
    stiffness = yield from spread(_fitting(layer, solved), 0.65, 0.03)
    mapping, taken = solved[stiffness], ()
    if layer.fills_frame:
        mapping = lay_evenly(layer, mapping)
    if quality.refines:
        kind = "flexible" if stiffness is not RIGID else "place" if layer.fills_frame else "stiff"
        passes = tuple(Pass(one.radius, one.must_pay or layer.flow is not None) for one in _PASSES[kind])
        mapping, taken = yield from spread(_refine(layer, mapping, matches, passes), 0.68, 0.3)
    return Solved((yield from spread(unfold(layer, mapping), 0.98, 0.02)), stiffness, taken)


def _fitting(layer: LayerView, solved: dict[Stiffness, LayerMap]) -> Generator[float, None, Stiffness]:
    """Flexible only where that explains the frames much better."""
    if len(solved) == 1:
        return next(iter(solved))
    some = layer.every(2)
    errors = {}
    for kind, mapping in solved.items():
        picture = yield from spread(layer_picture(some, mapping.every(2), robust=False), 0.5 * len(errors), 0.3)
        error = mean_error(some, mapping.every(2), picture)
        errors[kind] = yield from spread(error, 0.5 * len(errors) + 0.3, 0.2)
    return bending(layer) if errors[bending(layer)] < _FLEXIBLE_IF_BELOW * errors[RIGID] else RIGID


def _refine(
    layer: LayerView, mapping: LayerMap, matches: list[Matches], passes: tuple[Pass, ...]
) -> Generator[float, None, tuple[LayerMap, tuple[Pass, ...]]]:
    """Register again, ever finer, as long as it pays and the surface does not swim."""
    share = 1 / (1 + len(passes))
    picture = yield from spread(layer_picture(layer, mapping), 0, 0.8 * share)
    error = yield from spread(mean_error(layer.every(2), mapping.every(2), picture), 0.8 * share, 0.2 * share)
    for done, one in enumerate(passes):
        at = (1 + done) * share
        moving = register_again(layer, mapping, picture, one.radius * layer.size.width)
        moved = yield from spread(moving, at, 0.5 * share)
        if swimming_px(moved, matches) > max(SWIMS_PX, swimming_px(mapping, matches)):
            return mapping, passes[:done]
        moved_picture = yield from spread(layer_picture(layer, moved, picture), at + 0.5 * share, 0.3 * share)
        measuring = mean_error(layer.every(2), moved.every(2), moved_picture)
        moved_error = yield from spread(measuring, at + 0.8 * share, 0.2 * share)
        if one.must_pay and moved_error > _PAYS_IF_BELOW * error:
            return mapping, passes[:done]
        mapping, picture, error = moved, moved_picture, moved_error
    return mapping, passes


def swimming_px(mapping: LayerMap, matches: list[Matches]) -> float:
    """Median distance, working px, between where the map and optical flow see a point one frame later."""
    missed = []
    for match in matches:
        if match.frame_b - match.frame_a == 1 and len(match.points_a):
            ends = [(match.frame_a, match.points_a[::8]), (match.frame_b, match.points_b[::8])]
            a, b = (mapping.lattice.near(mapping.nodes[t], points) + points for t, points in ends)
            missed.append(np.linalg.norm(a - b, axis=1))
    return float(np.median(np.concatenate(missed))) if missed else 0.0
