"""Long clips: key frames first, then all frames between them, window by window, on the plane of the key frames.

The key frames are spread over the whole clip and solved together, as any clip is, so that all of it has one plane and
one picture, and nothing drifts. A window then has its key frames held, begins where they and the motion from frame to
frame lead, and is registered to the picture of the key frames. Windows overlap, and pass into each other there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, final

import numpy as np
from jaxtyping import Float, Float32

from nvd_core.checkpoints import Arrays, Checkpoints
from nvd_core.lattice.imaging import transform
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.mapping import RIGID, bending, lattice_of, solve_mapping
from nvd_core.lattice.matches import Registrar
from nvd_core.lattice.photometry import Picture
from nvd_core.lattice.picture import layer_picture
from nvd_core.lattice.refine import register_again
from nvd_core.lattice.spline import Lattice, LayerMap, Nodes
from nvd_core.lattice.start import Homography, Step, chained, find_steps
from nvd_core.lattice.together import SWIMS_PX, Pass, Solved, solve_together, swimming_px
from nvd_core.lattice.unfold import unfold
from nvd_core.settings import Quality
from nvd_core.steps import gathered, spread

OVERLAP: Final = 16
"""Frames in which a window passes into the next."""

_CHAIN, _KEYS = 0.1, 0.25
"""Rough parts of the work that the motion from frame to frame takes, and the key frames."""

_BEYOND_PX: Final = 8.0
"""A key frame counts a quarter for a point that lies twice this far outside of it."""

_Field = Float32[np.ndarray, "row column 2"]


@final
@dataclass(frozen=True)
class Parts:
    """Finished parts of a layer's map in the checkpoint."""

    checkpoints: Checkpoints
    layer: str

    def load(self, part: str) -> Arrays | None:
        """A part that was finished, or None."""
        return self.checkpoints.load(f"{self.layer}.{part}")

    def save(self, part: str, arrays: Arrays) -> None:
        """Keep a finished part."""
        self.checkpoints.save(f"{self.layer}.{part}", arrays)


def solve_map(
    layer: LayerView, lattice: Lattice, quality: Quality, window: int, parts: Parts
) -> Generator[float, None, LayerMap]:
    """The map of a layer that is seen in some frame.

    Args:
        layer: at working size.
        lattice: of the map.
        quality: what it may take.
        window: so many frames are solved at once.
        parts: what is finished of a longer clip.

    Yields:
        The part that is done, 0 to 1.
    """
    if layer.count <= window:
        registrar = Registrar(layer, quality.offsets)
        steps = yield from spread(find_steps(registrar), 0, _CHAIN)
        return (yield from spread(solve_together(registrar, steps, lattice, quality), _CHAIN, 1 - _CHAIN)).mapping
    steps = yield from spread(_kept_steps(layer, quality, parts), 0, _CHAIN)
    order = layer.visible[:: math.ceil(len(layer.visible) / window)]
    keys = layer.part(order)
    solved = yield from spread(_kept_keys(keys, order, layer.visible, steps, lattice, quality, parts), _CHAIN, _KEYS)
    picture = None
    if solved.passes:
        picture = yield from spread(layer_picture(keys, solved.mapping), _CHAIN + _KEYS, 0.05)
    between = Between(layer, order, solved.mapping, steps)
    nodes = np.empty((layer.count, lattice.rows, lattice.columns, 2), np.float32)
    spans = windows(layer.count, window)
    begin, share = _CHAIN + _KEYS + 0.05, (0.95 - _CHAIN - _KEYS) / len(spans)
    for index, span in enumerate(spans):
        solving = _kept_window(between, span, solved, picture, quality, parts)
        found = yield from spread(solving, begin + index * share, share)
        both = spans[index - 1].stop - span.start if index else 0
        for place, (t, one) in enumerate(zip(span, found, strict=True)):
            nodes[t] = one if place >= both else nodes[t] + np.float32((place + 1) / (both + 1)) * (one - nodes[t])
    return LayerMap(order[solved.mapping.reference], lattice, nodes)


def windows(count: int, longest: int) -> list[range]:
    """Equally long windows over so many frames, each of which begins before the last one ends."""
    overlap = min(OVERLAP, longest // 2)
    many = max(1, math.ceil((count - overlap) / (longest - overlap)))
    starts = [round(index * (count - overlap) / many) for index in range(many + 1)]
    return [range(start, end + overlap) for start, end in pairwise(starts)]


def _kept_steps(layer: LayerView, quality: Quality, parts: Parts) -> Generator[float, None, list[Step]]:
    """Motion from frame to frame."""
    kept = parts.load("steps")
    if kept is None:
        steps = yield from find_steps(Registrar(layer, quality.offsets))
        kept = {"steps": np.array(steps).reshape(-1, 2, 3, 3)}
        parts.save("steps", kept)
    return [Step(*pair) for pair in kept["steps"]]


def _kept_keys(
    keys: LayerView,
    order: Sequence[int],
    visible: Sequence[int],
    steps: Sequence[Step],
    lattice: Lattice,
    quality: Quality,
    parts: Parts,
) -> Generator[float, None, Solved]:
    """The map of the key frames, all at once."""
    kept = parts.load("keys")
    if kept is not None:
        passes = tuple(Pass(float(radius), bool(must_pay)) for radius, must_pay in kept["passes"])
        mapping = LayerMap(int(kept["facts"][0]), lattice, kept["nodes"])
        return Solved(mapping, bending(keys) if kept["facts"][1] else RIGID, passes)
    there = {t: place for place, t in enumerate(visible)}
    between = [steps[there[a] : there[b]] for a, b in pairwise(order)]
    leaps = [Step(*(_product(models) for models in zip(*some, strict=True))) for some in between]
    solved = yield from solve_together(Registrar(keys, quality.offsets), leaps, lattice, quality, again=True)
    parts.save(
        "keys",
        {
            "nodes": solved.mapping.nodes,
            "facts": np.array([solved.mapping.reference, int(solved.stiffness is not RIGID)]),
            "passes": np.array(solved.passes, np.float64).reshape(-1, 2),
        },
    )
    return solved


def _product(steps: Sequence[Homography]) -> Homography:
    """Of homographies that follow each other."""
    whole = np.eye(3)
    for step in steps:
        whole = step @ whole
    return whole


@final
@dataclass(frozen=True)
class Between:
    """Where frames lie that have key frames around them: by motion to these, and by their maps.

    Attributes:
        layer: all frames.
        order: the key frames, which show the layer.
        keys: their map.
        steps: motion from each frame that shows the layer to the next.
    """

    layer: LayerView
    order: Sequence[int]
    keys: LayerMap
    steps: Sequence[Step]

    @cached_property
    def chain(self) -> Mapping[int, Homography]:
        """Homographies to the first frame that shows the layer."""
        return chained(self.layer.visible, [step[0 if self.layer.fills_frame else 1] for step in self.steps])

    def nodes(self, t: int, lattice: Lattice) -> _Field:
        """Displacements of a frame's nodes."""
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
        """The key frames before and after, by index, and how close each is, 0 to 1."""
        after = bisect_right(self.order, t)
        if after == 0 or after == len(self.order):
            return [(max(0, after - 1), 1.0)]
        share = (t - self.order[after - 1]) / (self.order[after] - self.order[after - 1])
        return [(key, close) for key, close in ((after - 1, 1 - share), (after, share)) if close > 0]

    def _displacement(self, key: int, at: Float[np.ndarray, "row column 2"]) -> Float[np.ndarray, "row column 2"]:
        """A key frame's, which goes on beyond the frame as the affine map nearest to it."""
        affine = self._affine[key]
        points = at.reshape(-1, 2)
        rest = self.keys.nodes[key] - _applied(affine, self.keys.lattice.positions())
        return (_applied(affine, points) + self.keys.lattice.near(rest, points)).reshape(at.shape)

    @cached_property
    def _affine(self) -> list[Float32[np.ndarray, "3 2"]]:
        """For each key frame the displacement of the affine map nearest to its own, over the whole frame."""
        return [_nearest_affine(self.keys.lattice, nodes) for nodes in self.keys.nodes]


def _nearest_affine(lattice: Lattice, nodes: _Field) -> Float32[np.ndarray, "3 2"]:
    """The displacement ``(x, y, 1) @ affine`` that is nearest to a frame's, over all its nodes."""
    points = lattice.positions().reshape(-1, 2)
    design = np.column_stack([points, np.ones(len(points), np.float32)])
    return np.linalg.lstsq(design, nodes.reshape(-1, 2), rcond=None)[0]


def _applied(
    affine: Float32[np.ndarray, "3 2"], points: Float[np.ndarray, "*point 2"]
) -> Float[np.ndarray, "*point 2"]:
    return points @ affine[:2] + affine[2]


def _kept_window(
    between: Between, span: range, solved: Solved, picture: Picture | None, quality: Quality, parts: Parts
) -> Generator[float, None, Nodes]:
    """The nodes of a window's frames."""
    name = f"frames-{span.start}"
    kept = parts.load(name)
    if kept is None:
        kept = {"nodes": (yield from _solve_window(between, span, solved, picture, quality))}
        parts.save(name, kept)
    return kept["nodes"]


def _solve_window(
    between: Between, span: range, solved: Solved, picture: Picture | None, quality: Quality
) -> Generator[float, None, Nodes]:
    layer, lattice = between.layer.part(span), solved.mapping.lattice
    if not layer.visible:
        return np.stack([between.nodes(t, lattice) for t in span])
    keys = {t - span.start: key for key, t in enumerate(between.order) if t in span}
    coarse = lattice_of(layer, solved.stiffness)
    begin = LayerMap(0, coarse, np.stack([between.nodes(t, coarse) for t in span]))
    registrar = Registrar(layer, quality.offsets)
    chain = [between.chain.get(t, np.eye(3)) for t in span]
    nearest = [np.eye(3) + np.column_stack([_nearest_affine(coarse, one), np.zeros(3)]).T for one in begin.nodes]
    finding = registrar.matches([chain, nearest], registrar.pairs)
    matches = yield from spread(gathered(finding, len(registrar.pairs)), 0, 0.5)
    mapping = yield from spread(solve_mapping(layer, begin, matches, solved.stiffness, list(keys)), 0.5, 0.15)
    mapping = mapping.on(lattice)
    for done, one in enumerate(solved.passes):
        assert picture is not None  # noqa: S101 (our own invariant)
        share = 0.33 / len(solved.passes)
        moving = register_again(layer, mapping, picture, one.radius * layer.size.width)
        moved = yield from spread(moving, 0.65 + done * share, share)
        if swimming_px(moved, matches) > max(SWIMS_PX, swimming_px(mapping, matches)):
            break
        mapping = moved
    mapping = yield from spread(unfold(layer, mapping), 0.98, 0.02)
    for t, key in keys.items():
        mapping.nodes[t] = solved.mapping.nodes[key]
    return mapping.nodes
