"""Step 3 for a layer that folds: match anew by fine flow, then once more through the map that this gives.

No homography brings frames of cloth in folds near each other, so flow over many frames starts far from where it must
end, and folds catch it. The map of the frames brings them within a few pixels. The reference frame is the one that
has room for most of the surface.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32

from nvd_core.image.geometry import Homography, Positions, is_inside, transform
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.inverse import InverseMap, invert
from nvd_core.lattice.register.mapping import Stiffness, solve_mapping
from nvd_core.lattice.register.matches import Matches, Registrar
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import Progress

_NEAR: Final = 2
"""Largest distance of two frames at which a homography is enough of a start for flow."""

_SPARSE: Final = 64
"""Every so manieth pixel is asked how far the surface reaches."""

_PARTS: Final = 48
_LEAST_PART_PX: Final = 5.0
"""Most parts along either side of the surface in which it is looked at how large frames show it, and their least side:
in smaller ones the number of pixels is chance."""

_SQUEEZED: Final = 0.4
"""Size in a frame, as a part of that in the frames that show a part best, below which it is squeezed."""

_FOLDS_IF_ABOVE: Final = 0.2
"""Share of the surface that is squeezed in the reference frame, above which a layer is solved as one that folds.
Cloth in deep folds has 0.31, a walking camel 0.16 and a flag in a breeze 0.00, which fine flow does not better."""

_FARTHEST: Final = 13.0
"""Farthest a point of the plane may lie from the frame, in frame sizes."""


def roomiest_frame(layer: LayerView, mapping: LayerMap) -> int | None:
    """Choose the frame that squeezes least of a layer's surface, if the layer folds; None otherwise.

    Whether it folds is asked of the map's reference frame, as seen from where its surface has its usual size.
    """
    pixels = _pixels_of_parts(layer, mapping)
    best = np.percentile(pixels, 90, axis=0)
    zoom = pixels.sum(axis=1) / max(1, best.sum())
    if _squeezed(pixels, best, zoom)[layer.visible.index(mapping.reference)] <= _FOLDS_IF_ABOVE:
        return None
    return layer.visible[int(np.argmin(_squeezed(pixels, best, np.ones_like(zoom))))]


def _pixels_of_parts(layer: LayerView, mapping: LayerMap) -> Float[np.ndarray, "frame part"]:
    """Count the pixels by which each frame that shows the layer shows each part of its surface."""

    def shown(t: int) -> Float32[np.ndarray, "pixel 2"]:
        return mapping.positions(t)[layer.inside(t)]

    low, high = np.percentile(np.concatenate([shown(t)[::_SPARSE] for t in layer.visible]), (0.5, 99.5), axis=0)
    counts = [int(np.clip(side / _LEAST_PART_PX, 1, _PARTS)) for side in high - low]
    edges = [np.linspace(start, end, many + 1) for start, end, many in zip(low, high, counts, strict=True)]
    return np.stack([np.histogram2d(*shown(t).T, bins=edges)[0].ravel() for t in layer.visible])


def _squeezed(
    pixels: Float[np.ndarray, "frame part"], best: Float[np.ndarray, " part"], zoom: Float[np.ndarray, " frame"]
) -> Float[np.ndarray, " frame"]:
    """Share of the surface that each frame shows far smaller than the frames that show it best, or not at all."""
    return (pixels < _SQUEEZED * best * zoom[:, None]) @ best / max(1, best.sum())


def solve_folding(
    registrar: Registrar,
    motions: Sequence[Sequence[Homography]],
    pairs: Sequence[tuple[int, int]],
    begin: LayerMap,
    stiffness: Stiffness,
    held: Sequence[int],
    progress: Progress,
) -> tuple[LayerMap, list[Matches]]:
    """Solve for the map of a layer that folds, twice: on matches along homographies, and along the first map.

    Args:
        registrar: matcher of the layer.
        motions: candidate motions of the clip, each a homography to a common frame for every frame.
        pairs: of frames to match.
        begin: starting map, and prior of the first round; its map is that of the second.
        stiffness: how far the layer may deform.
        held: frames that keep their start.
        progress: of solving.

    Returns:
        The map, and the matches that it was solved on.
    """
    fine = replace(registrar, is_fine=True)
    near = [(a, b) for a, b in pairs if b - a <= _NEAR]
    far = [(a, b) for a, b in pairs if b - a > _NEAR]
    to_match, to_map, to_match_again, to_map_again = progress.split(50, 12, 26, 12)

    first = list(to_match.track(fine.matches(motions, near + far), len(near) + len(far)))
    mapping = solve_mapping(fine.layer, begin, first, stiffness, held, to_map)

    short = [match for match in first if match.frame_b - match.frame_a <= _NEAR]
    again = [*short, *to_match_again.track(matches_through(fine, mapping, far), len(far))]
    return solve_mapping(fine.layer, mapping, again, stiffness, held, to_map_again), again


def matches_through(registrar: Registrar, mapping: LayerMap, pairs: Sequence[tuple[int, int]]) -> Iterator[Matches]:
    """Match pairs of frames by flow between the first and the second as the map warps it onto the first."""
    layer, limit_px = registrar.layer, _FARTHEST * max(registrar.layer.size)
    shown = sorted({t for pair in pairs for t in pair})
    inverses = dict(
        zip(shown, map_ordered(lambda t: invert(mapping.positions(t), layer.box(t), limit_px), shown), strict=True)
    )
    stride = max(1, round(registrar.stride_px(len(registrar.pairs)) * registrar.scale))

    def match(pair: tuple[int, int]) -> Matches:
        a, b = pair
        box = registrar.crop(a)
        lead, known = _lead(registrar, mapping.positions(a, registrar.size)[box.slices], inverses[b])
        source = np.ascontiguousarray(registrar.picture(a)[box.slices])
        # Where the map does not lead, the first frame stands in for the second, so that flow there is none.
        target = np.where(known, warp(registrar.picture(b), lead), source)
        met, sure = registrar.met(source, target, stride)
        sure &= warp(known.astype(np.float32), met) > 0.99
        points_b = transform(np.linalg.inv(registrar.to_flow), warp(lead, met)[sure].astype(np.float64))
        points_a = registrar.grid_of(box, stride)[sure.ravel()]
        return registrar.shown(Matches(a, points_a, b, points_b.astype(np.float32)))

    yield from map_ordered(match, pairs)


def _lead(
    registrar: Registrar, plane: Positions, inverse: InverseMap
) -> tuple[Positions, Bool[np.ndarray, "height width"]]:
    """Where points of the reference plane are in a frame, flow px, and whether the frame's inverse map knows."""
    there = plane - inverse.origin_px.astype(np.float32)
    found = inverse.lattice.near(np.dstack([inverse.positions, inverse.solved]), there.reshape(-1, 2))
    found = found.reshape(*plane.shape[:2], 3)
    positions = transform(registrar.to_flow, found[..., :2].astype(np.float64)).astype(np.float32)
    return positions, (found[..., 2] > 0.9) & is_inside(there, inverse.lattice.size)
