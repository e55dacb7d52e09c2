"""Rotoscope: propagate masks of single frames, boxes and clicks to all frames, or detect objects without any.

The masks are pictures, one a frame, in the result's ``masks`` folder; from then on they are masks like any other. To
correct one, paint it and decompose again: a painted picture is a key frame, stays as it is, and is propagated to the
frames around it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Num, UInt8

from nvd_core import __version__
from nvd_core.clip import Clip
from nvd_core.clip.pictures import read_mask
from nvd_core.image.colour import to_display, to_uint8
from nvd_core.image.geometry import pixel_grid, size_of
from nvd_core.masks.files import coverage, fitted
from nvd_core.masks.former import of_another_clip, with_former
from nvd_core.roto.camera import Camera, follow_camera
from nvd_core.roto.discover import Found
from nvd_core.roto.key_masks import check_keys, key_mask, key_masks, picture_of, shrunk, size_for_masks
from nvd_core.roto.matting import matte_of
from nvd_core.roto.propagate import propagate
from nvd_core.roto.window import Cutout
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import digest_of, files_of
from nvd_core.spec.choices.finders import Moving
from nvd_core.spec.choices.mask_origins import Marks, MaskPath
from nvd_core.spec.choices.propagators import Motion
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import checkpoint_path, sha256
from nvd_core.spec.mask_record import Record, picture_name
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import MaskSource, Settings, nowhere

_LEAST: Final = 1 / 2000
_LEAST_PX: Final = 40
"""Least visible area of a detected object in some frame, its rim eroded: fraction of the frame, and working pixels."""


@final
@dataclass(frozen=True)
class Wanted:
    """Job of making masks for objects that lack them in some frames.

    Attributes:
        clip: the plates.
        numbers: plate numbers of the frames used.
        masks: as the user named them, front to back; empty if objects are to be detected.
        folder: of the mask pictures; meanwhile outlines are cached in the checkpoint beside it.
        scratch: a folder on whose disk frames may lie meanwhile.
        at_once: number of plates that are worked on at a time.
        settings: name the detector and the tracker.
        former: masks folder of the previous result, whose pictures are taken over.
    """

    clip: Clip
    numbers: range
    masks: tuple[MaskSource, ...]
    folder: Path
    scratch: Path
    at_once: int
    settings: Settings = field(default_factory=Settings)
    former: Path | None = None

    @property
    def is_replaced(self) -> bool:
        """Whether this result replaces the previous one."""
        return self.former is not None and self.former.parent == self.scratch

    def keys(self, layer: str) -> dict[int, MaskSource]:
        """Masks of an object's key frames, by plate number."""
        return {one.frame: one for one in self.masks if one.name == layer and one.frame is not None}


def rotoscope(wanted: Wanted, progress: Progress = SILENT) -> tuple[MaskSource, ...]:
    """Make masks for all frames: propagate those of single frames, or detect objects if there are none.

    Args:
        wanted: clip, masks and settings.
        progress: hears stages, progress within each, and cautions.

    Returns:
        Masks for all frames, front to back.

    Raises:
        InputError: a mask or the clip cannot be read, or the folder holds corrected masks of another clip.
    """
    record, plates = Record.read(wanted.folder), _plates(wanted)
    if wanted.folder.exists() and not record.is_there and any(wanted.folder.iterdir()):
        raise InputError(
            "The output folder holds masks that are not its own", where=wanted.folder, hint="Move or rename them."
        )
    record = with_former(record, wanted.former, plates, progress.tell, is_replaced=wanted.is_replaced)
    painted, is_same = record.painted(), record.is_of(plates)
    if painted and not is_same:
        raise of_another_clip(wanted.folder)
    here = {layer: {t: path for t, path in some.items() if t in wanted.numbers} for layer, some in painted.items()}
    used = {layer: some for layer, some in here.items() if some}
    asked = _digest(wanted, plates, used)
    if record.asked != asked or not all((wanted.folder / name).is_file() for name in record.files):
        record = replace(record, plates={**record.plates, **plates} if is_same else plates)
        record = _make(wanted, record, asked, used, progress)
    for one in record.told:
        progress.tell(Caution(message=one["message"], hint=one["hint"]))
    order = list(dict.fromkeys(one.name for one in wanted.masks)) or record.layers
    whole = {one.name: one for one in wanted.masks if one.frame is None}
    locked = {one.name for one in wanted.masks if one.locked}
    made = {
        layer: MaskSource(name=layer, path=MaskPath(str(wanted.folder / layer)), locked=layer in locked)
        for layer in order
    }
    return tuple((made | whole)[layer] for layer in order)


def _plates(wanted: Wanted) -> dict[str, str]:
    """Digests of the clip's files, by plate number; see :class:`Record`."""
    info, unchanged = wanted.clip.info, wanted.clip.info.unchanged
    files = files_of(info, wanted.numbers)
    if len(info.files) != info.count:
        return {"": digest_of(files, unchanged)}
    return {str(number): digest_of([file], unchanged) for number, file in zip(wanted.numbers, files, strict=True)}


def _digest(wanted: Wanted, plates: Mapping[str, str], used: Mapping[str, Mapping[int, Path]]) -> str:
    """Digest of everything that the masks depend on; ``used`` are the painted pictures, by layer and plate number."""
    unchanged = wanted.clip.info.unchanged
    keys = [
        (
            one.name,
            one.frame,
            str(one.path) if isinstance(one.path, Marks) else digest_of([picture_of(one)], unchanged),
        )
        for one in wanted.masks
        if one.frame is not None
    ]
    changed = {layer: {t: sha256(path) for t, path in pictures.items()} for layer, pictures in used.items()}
    facts = [__version__, plates, list(wanted.numbers), keys, changed]
    facts += [] if wanted.masks else [wanted.settings.window]
    makers = ([] if wanted.masks else [wanted.settings.find]) + [wanted.settings.carry]
    others = [one for one in makers if one not in (Moving(), Motion())]
    facts += [[str(one.placed(nowhere)), digest_of(one.files(), unchanged)] for one in others]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _make(
    wanted: Wanted, before: Record, asked: str, used: Mapping[str, Mapping[int, Path]], progress: Progress
) -> Record:
    """Make all masks anew, but for the painted ones, which are key frames; ``asked`` is their digest."""
    settings, size, numbers = wanted.settings, wanted.clip.info.size, wanted.numbers
    cautions = check_keys(wanted.masks, wanted.clip, numbers)
    says = [{"message": one.message, "hint": one.hint} for one in cautions]
    outlines = checkpoint_path(wanted.scratch) / f"masks-{asked[:16]}"
    find = None if wanted.masks else settings.find.open(settings.device)
    tracker_of = settings.carry.open(settings.device, outlines)
    frames = _read(wanted, progress)
    camera = follow_camera(frames, progress.stage("camera"))
    layers = list(dict.fromkeys(one.name for one in wanted.masks if one.frame is not None))
    keys = {layer: key_masks(wanted.keys(layer), numbers, size, frames) for layer in layers}
    if find:
        keys = _detected(camera, find, progress.stage("find"))
    detected = keys.copy()
    for layer, painted in used.items():
        if layer in keys or not wanted.masks:
            fixed = {numbers.index(number): key_mask(path, size) for number, path in painted.items()}
            keys[layer] = keys.get(layer, {}) | fixed
    is_by_motion, masks = settings.find.is_by_motion, {}
    for layer in keys:
        masks[layer] = propagate(camera, keys[layer], tracker_of(layer), progress.stage("carry", layer))
    if masks and not wanted.masks and is_by_motion:
        from nvd_core.roto.complete import regain  # noqa: PLC0415 (few jobs need a solver for their masks)

        settled = {layer: _nearest_painted(keys[layer], numbers, some) for layer, some in used.items()}
        kept, stage = outlines / "maps", progress.stage("regain")
        masks = regain(frames, masks, settled, settings.window, wanted.scratch, kept, stage)
    if not wanted.masks:
        shown = _visible(masks, frames)
        masks = {layer: some for layer, some in masks.items() if layer in shown | used.keys()}
        detected = {layer: key for layer, key in detected.items() if layer in masks}
        says = [_detection_told(detected, numbers, is_learned=not is_by_motion)]
    corrected = {picture_name(layer, number) for layer, pictures in before.painted().items() for number in pictures}
    before.begin()
    files, left = _write(wanted, masks, before, progress.stage("mattes"))
    wanted.clip.info.unchanged.check_all()
    kept = corrected | left
    files |= {name: before.files.get(name, "") for name in kept - files.keys()}
    before.drop(before.names - files.keys())
    record = replace(before, asked=asked, layers=tuple(masks), files=files, told=tuple(says), kept=tuple(sorted(kept)))
    record.write()
    shutil.rmtree(outlines, ignore_errors=True)
    return record


def _nearest_painted(keys: Collection[int], numbers: range, painted: Collection[int]) -> list[int]:
    """Indices of the frames whose nearest key frame is painted: they follow that one alone."""
    return [t for t in range(len(numbers)) if numbers[min(keys, key=lambda key: abs(key - t))] in painted]


def _read(wanted: Wanted, progress: Progress) -> Pictures:
    """Read the frames at working size, display-encoded RGB."""
    size = size_for_masks(wanted.clip.info.size)
    frames = Pictures.on_disk(wanted.scratch, (size.height, size.width, 3))
    plates = wanted.clip.frames(wanted.numbers)
    small = map_ordered(lambda plate: shrunk(plate, wanted.clip.info.size), plates, wanted.at_once)
    for frame in progress.track(small, len(wanted.numbers)):
        frames.append(frame)
    return frames


def _detected(
    camera: Camera, find: Callable[[Camera, Progress], tuple[Found, ...]], progress: Progress
) -> dict[str, dict[int, Cutout]]:
    """Detect objects: masks of their key frames, by layer and frame index."""
    objects = find(camera, progress)
    return {
        f"object{index + 1 if index else ''}": {
            t: Cutout.of(mask) for t, mask in ({one.t: one.mask} | dict(one.others)).items()
        }
        for index, one in enumerate(objects)
    }


def _visible(masks: Mapping[str, Sequence[Cutout]], frames: Pictures) -> set[str]:
    """Objects that are not hidden by those in front in every frame: what was detected twice is one."""
    places, shown = pixel_grid(size_of(frames[0])), set[str]()
    least = max(_LEAST_PX, _LEAST * places[..., 0].size)
    for cutouts in zip(*masks.values(), strict=True):
        uncovered = np.ones(frames.shape[1:3], bool)
        for layer, one in zip(masks, cutouts, strict=True):
            own = (one.at(places) > 0.5) & uncovered
            uncovered &= ~own
            shows = cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8))
            shown |= {layer} if np.count_nonzero(shows) >= least else set()
    return shown


def _detection_told(detected: Mapping[str, Collection[int]], numbers: range, *, is_learned: bool) -> dict[str, str]:
    """Caution that says which objects were detected, and in which frames; ``detected`` are frame indices by layer."""
    if not detected:
        what = "that the model is sure of" if is_learned else "that moves by itself"
        return {
            "message": f"No mask is given, and nothing was found {what}: the clip is one background",
            "hint": "Give an object a mask on one frame, if there is one.",
        }
    frames = {name: ", ".join(str(numbers[t]) for t in sorted(some)) for name, some in detected.items()}
    where = ", ".join(f"{name} (outlined in frame {some})" for name, some in frames.items())
    return {
        "message": f"No mask is given; found by {'the model' if is_learned else 'its motion'}: {where}",
        "hint": "Look at the pictures in the folder masks; paint one better and decompose again, or give masks.",
    }


def _write(
    wanted: Wanted, masks: Mapping[str, Sequence[Cutout]], record: Record, progress: Progress
) -> tuple[dict[str, str], set[str]]:
    """Write the mattes at the plate's size; a key frame's picture keeps its own values and depth.

    Returns:
        Digests of what was made, by picture name, and the names of painted pictures, which were left as they are.
    """
    files: dict[str, str] = {}
    left: set[str] = set()
    scale = wanted.clip.info.size.height / size_for_masks(wanted.clip.info.size).height

    def finished(item: tuple[int, Num[np.ndarray, "height width 3"]]) -> dict[str, UInt8[np.ndarray, "height width"]]:
        t, plate = item
        display = to_display(plate)
        return {layer: to_uint8(matte_of(cutouts[t], display, scale)) for layer, cutouts in masks.items()}

    plates = enumerate(wanted.clip.frames(wanted.numbers))
    mattes = progress.track(map_ordered(finished, plates, wanted.at_once), len(wanted.numbers))
    for t, alphas in enumerate(mattes):
        number = wanted.numbers[t]
        for layer, alpha in alphas.items():
            name, key = picture_name(layer, number), wanted.keys(layer).get(number)
            own = None if key is None or isinstance(key.path, Marks) else picture_of(key)
            content = _png(alpha) if own is None else _as_it_is(own, wanted.folder / name, wanted.clip.info.size)
            files[name] = hashlib.sha256(content).hexdigest()
            if not record.put(name, content):
                left.add(name)
    return files, left


def _as_it_is(path: Path, place: Path, size: Size) -> bytes:
    """Content of a PNG of a mask picture, at its own depth and the plate's size."""
    if place.is_file() and path.samefile(place):
        return path.read_bytes()
    picture = read_mask(path)
    matte = fitted(coverage(picture), size, path)
    return _png(to_uint8(matte) if picture.dtype == np.uint8 else np.rint(matte * 65535).astype(np.uint16))


def _png(mask: Num[np.ndarray, "height width"]) -> bytes:
    return cv2.imencode(".png", mask)[1].tobytes()
