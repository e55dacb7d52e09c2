"""Solve one layer's map over up to a window of frames: steps 1 to 6 of docs/method.md.

Step 1 comes twice: between neighbouring frames, whose motion step 2 chains; then between frames further apart, which
that motion warps onto each other. For a layer that folds it comes again, by fine flow (``register.folding``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import layer_picture
from nvd_core.lattice.refine.folds import unfold
from nvd_core.lattice.refine.layout import lay_evenly
from nvd_core.lattice.refine.registration import mean_error, register_again
from nvd_core.lattice.register.folding import roomiest_frame, solve_folding
from nvd_core.lattice.register.mapping import (
    FLEXIBLE,
    RIGID,
    Stiffness,
    bending,
    lattice_of,
    solve_mapping,
    starting_map,
)
from nvd_core.lattice.register.matches import Matches, Registrar
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.lattice.register.start import FrameMotion, Initial, choose_motion, estimate_initial, seen_again
from nvd_core.runtime.progress import Progress
from nvd_core.spec.settings import Quality

_FLEXIBLE_IF_BELOW: Final = 0.85
"""Largest ratio of the flexible map's photometric error to the rigid one's at which the flexible map is taken.
Shadows and reflections make a flexible map of a rigid layer worse, not better, which is what the rule rests on."""

_PAYS_IF_BELOW: Final = 0.97
"""Largest ratio of errors after and before a pass at which it pays: over a shadow it does not."""

_HALVED_FROM_PX: Final = 24.0
"""Radius of corrections, working px, from which frames are registered at half their size. Halving passes of 12 px, too,
costs an edit on a glossy floor 0.4 dB."""

_SWIMS_PX: Final = 0.5
"""Median motion against optical flow from frame to frame up to which no pass is rejected, px of the reference plane."""


class Pass(NamedTuple):
    """One registration of all frames to the layer's picture.

    Attributes:
        radius: smoothing radius of the corrections, as a part of the frame's width.
        must_pay: whether the pass is rejected unless it lowers the photometric error.
    """

    radius: float
    must_pay: bool

    def view(self, layer: LayerView) -> LayerView:
        """The layer at the size at which it is registered: half its size where that says as much."""
        is_wide = self.radius * layer.size.width >= _HALVED_FROM_PX
        return layer.halved if is_wide and layer.halved.visible else layer


_PASSES: Final = {
    "place": (Pass(1 / 16, False), Pass(1 / 42, False), Pass(1 / 128, True)),
    "stiff": (Pass(1 / 42, False), Pass(1 / 42, False), Pass(1 / 128, True)),
    "flexible": (Pass(1 / 128, False), Pass(1 / 128, True), Pass(1 / 256, True), Pass(1 / 256, True)),
}
"""Passes from coarse to fine, for a background, a rigid object and a flexible one."""


class Solved(NamedTuple):
    """A layer's map with the choices made in solving it.

    Attributes:
        mapping: the map.
        stiffness: rigid or flexible.
        passes: registrations that were accepted.
        folds: whether the layer was solved as one that folds.
    """

    mapping: LayerMap
    stiffness: Stiffness
    passes: tuple[Pass, ...]
    folds: bool


def solve_together(
    registrar: Registrar,
    motions: Sequence[FrameMotion],
    lattice: Lattice,
    quality: Quality,
    progress: Progress,
    *,
    again: bool = False,
) -> Solved:
    """Solve the map of all frames of a layer at once: steps 1 to 6.

    Args:
        registrar: matcher of the layer, which some frame must show.
        motions: from each frame that shows the layer to the next.
        lattice: nodes of the finished map.
        quality: preset's effort.
        progress: of solving.
        again: whether distant frames that show the same place are matched, too (loop closure).
    """
    layer = registrar.layer
    to_start, to_match, to_map, to_choose, to_fold, to_register, to_unfold = progress.split(15, 20, 30, 3, 30, 30, 2)

    initial = estimate_initial(layer, motions, to_start)  # step 2, of step 1 between neighbours

    pairs = registrar.pairs + (seen_again(layer, initial, registrar.offsets[-1]) if again else [])
    matches = list(to_match.track(registrar.matches(initial.candidates, pairs), len(pairs)))  # step 1, further apart

    maps = _solve_maps(layer, initial, matches, lattice, quality, to_map)  # step 3
    stiffness = _choose_stiffness(layer, maps, to_choose)
    mapping, passes = maps[stiffness], ()

    may_fold = stiffness is FLEXIBLE and quality.refines and not layer.fills_frame
    roomiest = roomiest_frame(layer, mapping) if may_fold else None
    if roomiest is not None:
        mapping, matches = _solve_folding(registrar, initial, matches, pairs, roomiest, to_fold)  # step 3 once more
        mapping = mapping.on(lattice)

    if layer.fills_frame:
        mapping = lay_evenly(layer, mapping)  # step 4

    if quality.refines:
        mapping, passes = _register(layer, mapping, matches, _passes(layer, stiffness), to_register)  # step 5

    return Solved(unfold(layer, mapping, to_unfold), stiffness, passes, roomiest is not None)  # step 6


def _solve_maps(
    layer: LayerView, initial: Initial, matches: list[Matches], lattice: Lattice, quality: Quality, progress: Progress
) -> dict[Stiffness, LayerMap]:
    """Solve for the map of each stiffness that comes into question."""
    motion, maps = choose_motion(layer, initial, matches), {}
    kinds = (RIGID, bending(layer)) if quality.refines else (RIGID if layer.fills_frame else bending(layer),)
    for stiffness, part in progress.each(kinds):
        begin = starting_map(lattice_of(layer, stiffness), layer, initial.reference, motion)
        maps[stiffness] = solve_mapping(layer, begin, matches, stiffness, [initial.reference], part).on(lattice)
    return maps


def _solve_folding(
    registrar: Registrar,
    initial: Initial,
    matches: list[Matches],
    pairs: Sequence[tuple[int, int]],
    reference: int,
    progress: Progress,
) -> tuple[LayerMap, list[Matches]]:
    """Solve the map of a layer that folds, with another reference frame, on matches of its own."""
    layer, motion = registrar.layer, choose_motion(registrar.layer, initial, matches)
    seen_from = tuple(np.linalg.inv(motion[reference]) @ one for one in motion)
    begin = starting_map(lattice_of(layer, FLEXIBLE), layer, reference, seen_from)
    return solve_folding(registrar, initial.candidates, pairs, begin, FLEXIBLE, [reference], progress)


def _choose_stiffness(layer: LayerView, maps: dict[Stiffness, LayerMap], progress: Progress) -> Stiffness:
    """Choose between the rigid and the flexible map by photometric error; rigid unless flexible is much better."""
    if len(maps) == 1:
        return next(iter(maps))
    some, errors = layer.every(2), {}
    for (kind, mapping), part in progress.each(list(maps.items())):
        averaging, comparing = part.split(3, 2)
        picture = layer_picture(some, mapping.every(2), robust=False, progress=averaging)
        errors[kind] = mean_error(some, mapping.every(2), picture, comparing)
    return bending(layer) if errors[bending(layer)] < _FLEXIBLE_IF_BELOW * errors[RIGID] else RIGID


def _passes(layer: LayerView, stiffness: Stiffness) -> tuple[Pass, ...]:
    """Passes for a layer. The user's flow is better than what registration computes: with it every pass must pay."""
    kind = "flexible" if stiffness is not RIGID else "place" if layer.fills_frame else "stiff"
    return tuple(Pass(one.radius, one.must_pay or layer.flow is not None) for one in _PASSES[kind])


def _register(
    layer: LayerView, mapping: LayerMap, matches: list[Matches], passes: tuple[Pass, ...], progress: Progress
) -> tuple[LayerMap, tuple[Pass, ...]]:
    """Register coarse to fine; stop at the first pass that does not pay or makes the surface swim."""
    view, before, picture, error = layer, None, None, None
    for done, (one, part) in enumerate(progress.each(passes)):
        drawing, moving, comparing = part.split(3, 5, 5)
        if one.view(layer) is not view:
            view, before, picture, error = one.view(layer), None, None, None
        drawn = picture or layer_picture(view, mapping, before, progress=drawing)
        moved = register_again(view, mapping, drawn, one.radius * view.size.width, moving)
        if swims(moved, mapping, matches):
            return mapping, passes[:done]
        picture, after = None, None
        if one.must_pay:
            some = view.every(2)
            error = mean_error(some, mapping.every(2), drawn) if error is None else error
            picture = layer_picture(view, moved, drawn, progress=comparing)
            after = mean_error(some, moved.every(2), picture)
            if after > _PAYS_IF_BELOW * error:
                return mapping, passes[:done]
        mapping, before, error = moved, drawn, after
    return mapping, passes


def swims(moved: LayerMap, mapping: LayerMap, matches: list[Matches]) -> bool:
    """Whether a pass makes points swim against optical flow, more than a little and more than before."""
    return _swimming_px(moved, matches) > max(_SWIMS_PX, _swimming_px(mapping, matches))


def _swimming_px(mapping: LayerMap, matches: list[Matches]) -> float:
    """Median distance between map and optical flow of a point one frame later, px of the reference plane."""
    missed = []
    for match in matches:
        if match.frame_b - match.frame_a == 1 and len(match.points_a):
            ends = [(match.frame_a, match.points_a[::8]), (match.frame_b, match.points_b[::8])]
            a, b = (mapping.lattice.near(mapping.nodes[t], points) + points for t, points in ends)
            missed.append(np.linalg.norm(a - b, axis=1))
    return float(np.median(np.concatenate(missed))) if missed else 0.0
