"""Re-composite one frame of a decomposition, by the formulas of Blender's node tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32

from nvd_core.clip import Plate
from nvd_core.image.colour import to_linear
from nvd_core.image.exr import to_half
from nvd_core.image.geometry import Box, bounding_box, size_of
from nvd_core.result.decomposition import AtlasColour, Frame, PaintedColour
from nvd_core.shot.compositing import (
    AS_SHOT,
    Behind,
    Look,
    Over,
    beyond_outline,
    hole,
    is_seen,
    keep_plate,
    light_in_hole,
    look_up,
    paint,
    rebuild,
    see_through,
    unlit,
)
from nvd_core.shot.inserts import Pinned, composite_inserts
from nvd_core.shot.solution import LayerFrame
from nvd_core.spec.manifest import Kind

Mode = Literal["keep-plate", "rebuild"]


class Composite(NamedTuple):
    """A re-composited frame.

    Attributes:
        number: the plate's.
        linear: linear light.
        is_fine: whether the plate is kept and half floats would round it.
        filled_px: number of pixels that hidden layers have left to those behind.
        invented_px: number of those that show the background where no frame does.
    """

    number: int
    linear: Float32[np.ndarray, "height width 3"]
    is_fine: bool = False
    filled_px: int = 0
    invented_px: int = 0


class Hidden(NamedTuple):
    """Layers that are taken out of the shot.

    Attributes:
        names: of the layers.
        covered: atlas coverage of the background, 1 at texels that the clip shows, else 0.
    """

    names: frozenset[str]
    covered: Float32[np.ndarray, "height width"]


class LayerEdits(NamedTuple):
    """What has been edited of a layer.

    Attributes:
        painted: atlas as painted; the very array of the original if it is not.
        original: atlas as solved.
        inserts: lists those that a frame shows, by its number, bottom first.
        is_paint_clipped: whether paint shows within the layer's outline alone.
        is_clipped: whether everything does.
    """

    painted: PaintedColour
    original: AtlasColour
    inserts: Callable[[int], list[Pinned]] = lambda _: []
    is_paint_clipped: bool = True
    is_clipped: bool = True


class _Edited(NamedTuple):
    """A layer's edits in one frame.

    Attributes:
        original: surface as solved.
        surface: as edited, opaque.
        within: edits within its outline.
        beyond: those that show beyond it, if there are any, and a layer behind it.
    """

    original: Float32[np.ndarray, "height width 3"]
    surface: Float32[np.ndarray, "height width 3"]
    within: Over
    beyond: Over | None


def composite(
    frame: Frame,
    kinds: Sequence[Kind],
    edits: Mapping[str, LayerEdits],
    mode: Mode,
    looks: Mapping[str, Look],
    hidden: Hidden | None = None,
) -> Composite:
    """Re-composite one frame."""
    if hidden:
        return _without(frame, kinds, edits, mode, looks, hidden)
    looks = {name: looks.get(name, AS_SHOT) for name in frame.layers}
    if mode == "rebuild":
        return Composite(frame.number, _rebuilt(frame, kinds, edits, looks))
    return Composite(frame.number, _kept(frame, edits, looks), _is_fine(frame.plate))


def _kept(
    frame: Frame, edits: Mapping[str, LayerEdits], looks: Mapping[str, Look]
) -> Float32[np.ndarray, "height width 3"]:
    """Composite all edits over the plate, front to back."""
    whole = to_linear(frame.plate)
    edited, uncovered = whole.copy(), np.ones(whole.shape[:2], np.float32)  # by edits beyond outlines in front
    for name, layer in frame.layers.items():
        box = bounding_box(layer.alpha > 0) if edits[name].is_clipped else Box(0, 0, *size_of(whole))
        if box is None:
            continue
        plate, part = whole[box.slices], layer.within(box)
        if (edit := _edit(frame, name, part, plate, edits[name])) is None:
            continue
        change = keep_plate(plate, part.alpha, part.residual, edit.within, edit.original, looks[name]) - plate
        if edit.beyond:
            behind, both = _behind(frame, name, edits), (edit.within, edit.beyond)
            change = change + beyond_outline(plate, part, both, edit.original, behind, looks[name])
        edited[box.slices] += uncovered[box.slices][..., None] * change
        if edit.beyond:
            uncovered *= 1 - edit.beyond.times(looks[name].opacity).share
    return edited


def _rebuilt(
    frame: Frame, kinds: Sequence[Kind], edits: Mapping[str, LayerEdits], looks: Mapping[str, Look]
) -> Float32[np.ndarray, "height width 3"]:
    """Composite the edited layers alone, front to back."""
    opacities = [look.opacity for look in looks.values()]
    alphas = see_through([layer.alpha for layer in frame.layers.values()], opacities, kinds)
    plate, total = to_linear(frame.plate), np.zeros(1, np.float32)
    uncovered = np.ones((1, 1), np.float32)
    for (name, layer), alpha in zip(frame.layers.items(), alphas, strict=True):
        edit = _edit(frame, name, layer, plate, edits[name])
        surface = edit.surface if edit else look_up(edits[name].original, layer.uv_atlas)
        light = looks[name].lit(layer.residual)
        total = total + (uncovered * alpha)[..., None] * light * surface
        if edit and edit.beyond:
            beyond = edit.beyond.times(looks[name].opacity)
            total = total + (uncovered * _share_behind(frame, name))[..., None] * light * beyond.colour
            uncovered = uncovered * (1 - beyond.share)
    return total


def _edit(
    frame: Frame, name: str, layer: LayerFrame, plate: Float32[np.ndarray, "height width 3"], edits: LayerEdits
) -> _Edited | None:
    """Look up a layer's edits in a frame, or in a part of it; None if it has none there."""
    pinned, is_painted = edits.inserts(frame.number), edits.painted is not edits.original
    if not pinned and not is_painted:
        return None
    original = look_up(edits.original, layer.uv_atlas)
    painted = look_up(edits.painted, layer.uv_atlas) if is_painted else original
    on_atlas = paint(painted, original)
    if not pinned and edits.is_paint_clipped:
        return _Edited(original, painted, on_atlas, None)

    def surface() -> Float32[np.ndarray, "height width 3"]:
        return unlit(plate, layer.alpha, layer.residual, painted, on_atlas.share)

    inserts = composite_inserts(pinned, layer.uv_atlas, surface)
    beyond: Over | None = inserts.beyond
    if not edits.is_paint_clipped:
        inside = np.asarray(((layer.uv_atlas >= 0) & (layer.uv_atlas <= 1)).all(axis=-1), np.float32)
        beyond = inserts.beyond.over(on_atlas.times(inside))
    if name == [*frame.layers][-1] or not beyond.share.any() or not is_seen(layer.alpha):
        beyond = None
    return _Edited(original, inserts.within.on(painted), inserts.within.over(on_atlas), beyond)


def _behind(frame: Frame, name: str, edits: Mapping[str, LayerEdits]) -> Behind:
    """Composite the layers behind another one, as solved."""
    behind = {one: frame.layers[one] for one in _names_behind(frame, name)}
    surfaces = [look_up(edits[one].original, layer.uv_atlas) for one, layer in behind.items()]
    drawn = [(layer.alpha, layer.residual, surface) for layer, surface in zip(behind.values(), surfaces, strict=True)]
    return Behind(_share_behind(frame, name), rebuild(drawn))


def _share_behind(frame: Frame, name: str) -> Float32[np.ndarray, "height width"]:
    """Share of each pixel that the layers behind another one have."""
    return np.sum([frame.layers[one].alpha for one in _names_behind(frame, name)], axis=0)


def _names_behind(frame: Frame, name: str) -> list[str]:
    names = [*frame.layers]
    return names[names.index(name) + 1 :]


def _is_fine(plate: Plate) -> bool:
    """Whether half floats would round a plate; they hold 8 bits."""
    linear = to_linear(plate)
    return plate.dtype != np.uint8 and not np.array_equal(to_half(linear), linear)


def _without(
    frame: Frame,
    kinds: Sequence[Kind],
    edits: Mapping[str, LayerEdits],
    mode: Mode,
    looks: Mapping[str, Look],
    hidden: Hidden,
) -> Composite:
    """Re-composite one frame of the shot as it would be without some layers: what is behind them is its plate there."""
    matte = hole(sum((frame.layers[name].alpha for name in hidden.names), np.zeros(frame.plate.shape[:2], np.float32)))
    opacities = [float(name not in hidden.names) for name in frame.layers]
    alphas = see_through([layer.alpha for layer in frame.layers.values()], opacities, kinds)
    left = {
        name: replace(layer, alpha=alpha)
        for (name, layer), alpha in zip(frame.layers.items(), alphas, strict=True)
        if name not in hidden.names
    }
    background, behind = [*frame.layers.items()][kinds.index("background")]
    left[background] = replace(left[background], residual=light_in_hole(behind.residual, behind.alpha, matte))
    surfaces = {name: look_up(edits[name].original, layer.uv_atlas) for name, layer in left.items()}
    shown = rebuild((layer.alpha, layer.residual, surfaces[name]) for name, layer in left.items())
    plate, share = to_linear(frame.plate), matte[..., None]
    clean = frame._replace(plate=np.where(share > 0, plate + share * (shown - plate), plate), layers=left)
    left_kinds: list[Kind] = [kind for name, kind in zip(frame.layers, kinds, strict=True) if name in left]
    filled, covered = matte > 0.5, look_up(hidden.covered[..., None], behind.uv_atlas)[..., 0]
    invented = filled & (left[background].alpha > 0.5) & (covered < 0.5)
    return composite(clean, left_kinds, edits, mode, looks)._replace(
        is_fine=mode == "keep-plate" and _is_fine(frame.plate),
        filled_px=int(np.count_nonzero(filled)),
        invented_px=int(np.count_nonzero(invented)),
    )
