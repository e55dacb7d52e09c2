"""Solve a layer's map, long clips by key frames first and then the frames between them, window by window.

The key frames are spread over the whole clip and solved together, as any clip is, so that all frames share one
reference plane and one picture, and nothing drifts. A window keeps the maps of its key frames, starts from them
and the frame-to-frame motion, and is registered to the picture of the key frames. Windows overlap, and are cross-faded
there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Final, final

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from nvd_core.image.geometry import transform
from nvd_core.lattice.clip_map import Pass, Solved, solve_together, swims
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import layer_picture
from nvd_core.lattice.picture.photometry import Picture
from nvd_core.lattice.refine.folds import unfold
from nvd_core.lattice.refine.registration import register_again
from nvd_core.lattice.register.folding import solve_folding
from nvd_core.lattice.register.mapping import RIGID, bending, lattice_of, solve_mapping
from nvd_core.lattice.register.matches import Registrar
from nvd_core.lattice.register.spline import Lattice, LayerMap, Nodes
from nvd_core.lattice.register.start import FrameMotion, Homography, chained, estimate_frame_motions
from nvd_core.runtime.checkpoints import Arrays, Checkpoints, Kind
from nvd_core.runtime.progress import Progress
from nvd_core.spec.settings import Quality

OVERLAP: Final = 16
"""Frames over which a window is cross-faded into the next."""

_BEYOND_PX: Final = 8.0
"""Distance of a point outside a key frame at which the key frame's weight is halved, working px."""

_Field = Float32[np.ndarray, "row column 2"]


@final
@dataclass(frozen=True)
class Parts:
    """Checkpoint of the finished parts of one layer's map."""

    checkpoints: Checkpoints
    layer: str

    def load(self, part: str, /, **kinds: Kind) -> Arrays | None:
        """Load a finished part, as :meth:`Checkpoints.load` does."""
        return self.checkpoints.load(f"{self.layer}.{part}", **kinds)

    def save(self, part: str, arrays: Arrays) -> None:
        """Save a finished part."""
        self.checkpoints.save(f"{self.layer}.{part}", arrays)


def solve_map(
    layer: LayerView, lattice: Lattice, quality: Quality, window: int, parts: Parts, progress: Progress
) -> LayerMap:
    """Solve the map of a layer that some frame shows: steps 1 to 6.

    Args:
        layer: at working size.
        lattice: of the finished map.
        quality: preset's effort.
        window: most frames solved at once.
        parts: checkpoint of a longer clip's parts.
        progress: of solving.
    """
    if layer.count <= window:
        to_move, to_solve = progress.split(10, 90)
        registrar = Registrar(layer, quality.offsets)
        motions = estimate_frame_motions(registrar, to_move)
        return solve_together(registrar, motions, lattice, quality, to_solve).mapping

    to_move, to_solve, to_fill = progress.split(10, 25, 65)
    motions = _kept_motions(layer, quality, parts, to_move)

    order = layer.visible[:: math.ceil(len(layer.visible) / window)]
    keys = layer.part(order)
    solved = _kept_keys(keys, order, layer.visible, motions, lattice, quality, parts, to_solve)

    @cache
    def picture(*, is_halved: bool) -> Picture:
        return layer_picture(keys.halved if is_halved else keys, solved.mapping)

    between = Between(layer, order, solved.mapping, motions)
    nodes = np.empty((layer.count, lattice.rows, lattice.columns, 2), np.float32)
    spans = windows(layer.count, window)
    for index, (span, part) in enumerate(to_fill.each(spans)):
        found = _kept_window(between, span, solved, picture, quality, parts, part)
        both = spans[index - 1].stop - span.start if index else 0
        for place, (t, one) in enumerate(zip(span, found, strict=True)):
            nodes[t] = one if place >= both else nodes[t] + np.float32((place + 1) / (both + 1)) * (one - nodes[t])
    return LayerMap(order[solved.mapping.reference], lattice, nodes)


def windows(count: int, longest: int) -> list[range]:
    """Divide ``count`` frames into equal windows, at most ``longest`` frames long, that overlap."""
    overlap = min(OVERLAP, longest // 2)
    many = max(1, math.ceil((count - overlap) / (longest - overlap)))
    starts = [round(index * (count - overlap) / many) for index in range(many + 1)]
    return [range(start, end + overlap) for start, end in pairwise(starts)]


def _kept_motions(layer: LayerView, quality: Quality, parts: Parts, progress: Progress) -> list[FrameMotion]:
    """Load the frame-to-frame motion from the checkpoint, or estimate and keep it."""
    kept = parts.load("motions", motions=Float64[np.ndarray, f"{max(0, len(layer.visible) - 1)} 2 3 3"])
    if kept is None:
        motions = estimate_frame_motions(Registrar(layer, quality.offsets), progress)
        kept = {"motions": np.array(motions).reshape(-1, 2, 3, 3)}
        parts.save("motions", kept)
    return [FrameMotion(*pair) for pair in kept["motions"]]


def _kept_keys(
    keys: LayerView,
    order: Sequence[int],
    visible: Sequence[int],
    motions: Sequence[FrameMotion],
    lattice: Lattice,
    quality: Quality,
    parts: Parts,
    progress: Progress,
) -> Solved:
    """Load the map of the key frames from the checkpoint, or solve and keep it."""
    facts, passes = Int64[np.ndarray, "3"], Float64[np.ndarray, "_ 2"]
    kept = parts.load("keys", nodes=lattice.kind_of(keys.count), facts=facts, passes=passes)
    if kept is not None:
        passes = tuple(Pass(float(radius), bool(must_pay)) for radius, must_pay in kept["passes"])
        mapping = LayerMap(int(kept["facts"][0]), lattice, kept["nodes"])
        return Solved(mapping, bending(keys) if kept["facts"][1] else RIGID, passes, bool(kept["facts"][2]))
    there = {t: place for place, t in enumerate(visible)}
    between = [motions[there[a] : there[b]] for a, b in pairwise(order)]
    leaps = [FrameMotion(*(_product(models) for models in zip(*some, strict=True))) for some in between]
    solved = solve_together(Registrar(keys, quality.offsets), leaps, lattice, quality, progress, again=True)
    parts.save(
        "keys",
        {
            "nodes": solved.mapping.nodes,
            "facts": np.array([solved.mapping.reference, int(solved.stiffness is not RIGID), int(solved.folds)]),
            "passes": np.array(solved.passes, np.float64).reshape(-1, 2),
        },
    )
    return solved


def _product(motions: Sequence[Homography]) -> Homography:
    """Compose successive homographies."""
    whole = np.eye(3)
    for motion in motions:
        whole = motion @ whole
    return whole


@final
@dataclass(frozen=True)
class Between:
    """Starting maps of the frames between key frames: motion to the nearest key frames, composed with their maps.

    Attributes:
        layer: all frames.
        order: the key frames, which show the layer.
        keys: map of the key frames.
        motions: from each frame that shows the layer to the next.
    """

    layer: LayerView
    order: Sequence[int]
    keys: LayerMap
    motions: Sequence[FrameMotion]

    @cached_property
    def chain(self) -> Mapping[int, Homography]:
        """Homography to the first frame that shows the layer, for every frame that does."""
        return chained(self.layer.visible, [motion[0 if self.layer.fills_frame else 1] for motion in self.motions])

    def nodes(self, t: int, lattice: Lattice) -> _Field:
        """Interpolate a frame's displacements at the nodes between the key frames before and after it."""
        places = lattice.positions().astype(np.float64)
        total, weights = np.zeros_like(places), np.zeros((*places.shape[:2], 1))
        for key, closeness in self._around(t):
            at = places
            if t in self.chain:
                at = transform(np.linalg.inv(self.chain[self.order[key]]) @ self.chain[t], places)
            size = np.array(self.layer.size, np.float64) - 1
            beyond = np.linalg.norm(np.maximum(np.maximum(-at, at - size), 0), axis=-1, keepdims=True)
            weight = closeness / (1 + (beyond / _BEYOND_PX) ** 2)
            total += weight * (at + self._displacement(key, at))
            weights += weight
        return (total / weights - places).astype(np.float32)

    def _around(self, t: int) -> list[tuple[int, float]]:
        """Indices of the key frames before and after, with linear weights, 0 to 1."""
        after = bisect_right(self.order, t)
        if after == 0 or after == len(self.order):
            return [(max(0, after - 1), 1.0)]
        share = (t - self.order[after - 1]) / (self.order[after] - self.order[after - 1])
        return [(key, close) for key, close in ((after - 1, 1 - share), (after, share)) if close > 0]

    def _displacement(self, key: int, at: Float[np.ndarray, "row column 2"]) -> Float[np.ndarray, "row column 2"]:
        """Displacement of a key frame at positions; beyond the frame it continues by its affine fit."""
        affine = self._affine[key]
        points = at.reshape(-1, 2)
        rest = self.keys.nodes[key] - _applied(affine, self.keys.lattice.positions())
        return (_applied(affine, points) + self.keys.lattice.near(rest, points)).reshape(at.shape)

    @cached_property
    def _affine(self) -> list[Float32[np.ndarray, "3 2"]]:
        """Affine fit to each key frame's displacement."""
        return [_nearest_affine(self.keys.lattice, nodes) for nodes in self.keys.nodes]


def _nearest_affine(lattice: Lattice, nodes: _Field) -> Float32[np.ndarray, "3 2"]:
    """Fit a frame's displacement by an affine one, ``(x, y, 1) @ affine``, in least squares over all nodes."""
    points = lattice.positions().reshape(-1, 2)
    design = np.column_stack([points, np.ones(len(points), np.float32)])
    return np.linalg.lstsq(design, nodes.reshape(-1, 2), rcond=None)[0]


def _applied(
    affine: Float32[np.ndarray, "3 2"], points: Float[np.ndarray, "*point 2"]
) -> Float[np.ndarray, "*point 2"]:
    return points @ affine[:2] + affine[2]


def _kept_window(
    between: Between,
    span: range,
    solved: Solved,
    picture: Callable[..., Picture],
    quality: Quality,
    parts: Parts,
    progress: Progress,
) -> Nodes:
    """Load the nodes of a window's frames from the checkpoint, or solve and keep them."""
    name = f"frames-{span.start}"
    kept = parts.load(name, nodes=solved.mapping.lattice.kind_of(len(span)))
    if kept is None:
        kept = {"nodes": _solve_window(between, span, solved, picture, quality, progress)}
        parts.save(name, kept)
    return kept["nodes"]


def _solve_window(
    between: Between,
    span: range,
    solved: Solved,
    picture: Callable[..., Picture],
    quality: Quality,
    progress: Progress,
) -> Nodes:
    """Match, solve, register and unfold a window's frames, with its key frames held."""
    layer, lattice = between.layer.part(span), solved.mapping.lattice
    if not layer.visible:
        return np.stack([between.nodes(t, lattice) for t in span])
    keys = {t - span.start: key for key, t in enumerate(between.order) if t in span}
    coarse = lattice_of(layer, solved.stiffness)
    begin = LayerMap(0, coarse, np.stack([between.nodes(t, coarse) for t in span]))
    registrar = Registrar(layer, quality.offsets)
    chain = [between.chain.get(t, np.eye(3)) for t in span]
    nearest = [np.eye(3) + np.column_stack([_nearest_affine(coarse, one), np.zeros(3)]).T for one in begin.nodes]
    to_match, to_map, to_register, to_unfold = progress.split(50, 15, 33, 2)
    pairs = registrar.pairs
    if solved.folds:
        mapping, matches = solve_folding(
            registrar, [chain, nearest], pairs, begin, solved.stiffness, list(keys), to_match
        )
    else:
        matches = list(to_match.track(registrar.matches([chain, nearest], pairs), len(pairs)))
        mapping = solve_mapping(layer, begin, matches, solved.stiffness, list(keys), to_map)
    mapping = mapping.on(lattice)
    for one, part in to_register.each(solved.passes):
        view = one.view(layer)
        moved = register_again(view, mapping, picture(is_halved=view is not layer), one.radius * view.size.width, part)
        if swims(moved, mapping, matches):
            break
        mapping = moved
    mapping = unfold(layer, mapping, to_unfold)
    for t, key in keys.items():
        mapping.nodes[t] = solved.mapping.nodes[key]
    return mapping.nodes
