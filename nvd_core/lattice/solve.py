"""Run the lattice solver: first the maps of all layers, then their atlases, each kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float16, Int64, UInt8

from nvd_core.image.colour import display_from_linear, to_display, to_uint8
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.atlas import LARGEST, Atlas, build_atlas
from nvd_core.lattice.picture.average import Frame, lay_out
from nvd_core.lattice.picture.canvas import Canvas, trust, trust_core
from nvd_core.lattice.picture.clean_light import estimate_clean_light
from nvd_core.lattice.refine.extrapolate import extrapolate
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.lattice.solution import CELLS, LatticeSolution, SolvedLayer
from nvd_core.lattice.windows import Parts, solve_map
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import Shot
from nvd_core.shot.previews import write_preview
from nvd_core.spec.forecast import Needs
from nvd_core.spec.settings import QUALITY, Quality, Settings

_LIGHT: Final = 0.05
"""Rough share of the light without objects in the work of an atlas."""


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints, progress: Progress = SILENT) -> LatticeSolution:
    """Decompose a shot into layers with maps and atlases; a preview of every atlas is told."""
    maps = solve_maps(shot, settings, checkpoints, progress)
    layers = build_atlases(shot, settings, checkpoints, maps, progress)
    return LatticeSolution(layers, shot.numbers, settings.residual)


def solve_maps(shot: Shot, settings: Settings, checkpoints: Checkpoints, progress: Progress) -> tuple[LayerMap, ...]:
    """Solve the map of every layer, front to back: steps 1 to 6."""
    quality, maps = QUALITY[settings.preset], []
    for index, name in enumerate(shot.names):
        layer = LayerView.of(shot.frames, shot.alphas[index], shot.flow)
        maps.append(kept_map(layer, name, checkpoints, quality, settings.window, progress.stage("map", name)))
    return tuple(maps)


def build_atlases(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, maps: Sequence[LayerMap], progress: Progress
) -> tuple[SolvedLayer, ...]:
    """Average the atlas of every layer, step 7, and estimate the background's light without objects: step 8.

    Raises:
        MemoryLimitError: the atlases do not fit into the memory that may be used.
    """
    quality, layers = QUALITY[settings.preset], []
    density = quality.density * shot.clip.info.size.width / shot.size.width
    views = [LayerView(shot.frames, alpha) for alpha in shot.alphas]
    canvases = [lay_out(layer, mapping, density, LARGEST) for layer, mapping in zip(views, maps, strict=True)]
    texels = sum(canvas.size.width * canvas.size.height for canvas in canvases)
    needs = Needs(shot.clip.info.size, len(shot.numbers), len(shot.names), settings)
    needs.check_atlases(shot.at_once, WORKERS, texels)
    for index, ((name, kind), mapping, layer, canvas) in enumerate(
        zip(shot.layers, maps, views, canvases, strict=True)
    ):
        averaging, lighting = progress.stage("atlas", name).split(1 - _LIGHT, _LIGHT)
        rounds = quality.atlas_rounds
        atlas = _kept_atlas(shot, layer, index, mapping, canvas, checkpoints, averaging, rounds=rounds)
        write_preview(_small(atlas), name, checkpoints.folder, progress.tell)
        is_hidden = kind == "background" and len(shot.layers) > 1
        light = estimate_clean_light(layer, mapping, canvas, atlas, lighting) if is_hidden else None
        layers.append(SolvedLayer(name, mapping, canvas, atlas, light=light))
    return tuple(layers)


def _small(atlas: Atlas) -> UInt8[np.ndarray, "height width 3"]:
    """Subsample an atlas to a display-encoded preview, fewer than 2048 texels long."""
    every = max(1, max(atlas.shape) // 1024)
    return to_uint8(display_from_linear(atlas[::every, ::every, :3].astype(np.float32)))


def kept_map(
    layer: LayerView, name: str, checkpoints: Checkpoints, quality: Quality, window: int, progress: Progress
) -> LayerMap:
    """Load the layer's map from the checkpoint, or solve and keep it; a layer never seen gets the identity."""
    lattice = Lattice.over(layer.size, CELLS)
    kinds = {"nodes": lattice.kind_of(layer.count), "reference": Int64[np.ndarray, "1"]}
    if (kept := checkpoints.load(f"{name}.map", **kinds)) is not None:
        return LayerMap(int(kept["reference"][0]), lattice, kept["nodes"])
    if layer.visible:
        solving, extending = progress.split(0.98, 0.02)
        mapping = extrapolate(
            layer, solve_map(layer, lattice, quality, window, Parts(checkpoints, name), solving), extending
        )
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
    progress: Progress,
    *,
    rounds: int,
) -> Atlas:
    """Load the layer's atlas from the checkpoint, or average and keep it."""
    name = shot.names[index]
    kind = Float16[np.ndarray, f"{canvas.size.height} {canvas.size.width} 4"]
    if (kept := checkpoints.load(f"{name}.atlas", atlas=kind)) is not None:
        return kept["atlas"]

    def plates() -> Iterator[Frame]:
        for t, frame in zip(layer.visible, shot.plates([shot.numbers[t] for t in layer.visible]), strict=True):
            yield Frame(t, to_display(frame.plate), to_uint8(frame.mattes[index]))

    is_background = shot.layers[index].kind == "background"
    trusted = trust_core if is_background and any(trust_core(layer.alpha[t]).any() for t in layer.visible) else trust
    at_once = shot.at_once
    atlas = build_atlas(layer, mapping, canvas, plates, trusted, rounds=rounds, at_once=at_once, progress=progress)
    checkpoints.save(f"{name}.atlas", {"atlas": atlas})
    return atlas
