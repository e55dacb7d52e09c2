"""Masks from little: given on a few frames, marked by a box or clicks, or not at all.

What comes of it are pictures, one a frame, in the result's ``masks`` folder; from then on they are masks like
any other. Who does not like one paints it better and decomposes again: a picture that was changed is a mask that
is given, stays as it is, and is carried to the frames around it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import cv2
import numpy as np
from jaxtyping import Num, UInt8

from nvd_core import __version__
from nvd_core.clip import Clip, ClipInfo
from nvd_core.clip.colour import to_display, to_uint8
from nvd_core.clip.pictures import read_picture
from nvd_core.conventions import Size, working_size
from nvd_core.errors import InputError
from nvd_core.folder import checkpoint_path, sha256
from nvd_core.masks.camera import Camera, follow_camera, pixel_grid
from nvd_core.masks.carry import carry, follow_motion
from nvd_core.masks.files import Matte, coverage
from nvd_core.masks.instances import Recognise, find_known
from nvd_core.masks.kept import Kept
from nvd_core.masks.marks import is_marks, mask_from_marks, parse_marks
from nvd_core.masks.models import CARRIERS, FINDERS, files_of_model, open_model
from nvd_core.masks.motion import find_objects
from nvd_core.masks.record import Record, picture_name
from nvd_core.masks.refine import matte_of
from nvd_core.masks.window import Cutout
from nvd_core.parallel import map_ordered
from nvd_core.protocol import Caution, Event, Progress
from nvd_core.scratch import Pictures
from nvd_core.settings import MaskSource, Settings
from nvd_core.shot import digest_of, files_of, resized
from nvd_core.steps import mapped

_LINES: Final = 480
_LEAST: Final = 1 / 2000
_LEAST_PX: Final = 40
"""Part of a frame, and working pixels, that a found object shows at least in some frame, its rim not counted."""
_READ, _FOLLOWED, _CARRIED = 0.1, 0.15, 0.85
"""Rough part of the work that is done after each step; the outlines take the rest."""


@final
@dataclass(frozen=True)
class Wanted:
    """Objects that have no masks of their own for all frames.

    Attributes:
        clip: the plates.
        numbers: of the frames used.
        masks: as they were asked for; empty if objects are to be found.
        folder: where their pictures go; outlines are kept in the checkpoint beside it meanwhile.
        scratch: a folder on whose disk frames may lie meanwhile.
        at_once: so many plates are worked on at a time.
        settings: which say what finds and what carries.
    """

    clip: Clip
    numbers: range
    masks: tuple[MaskSource, ...]
    folder: Path
    scratch: Path
    at_once: int
    settings: Settings = field(default_factory=Settings)

    def keys(self, layer: str) -> dict[int, MaskSource]:
        """What is given of an object, by plate number."""
        return {one.frame: one for one in self.masks if one.name == layer and one.frame is not None}


def is_little(masks: Sequence[MaskSource]) -> bool:
    """Whether there is an object with masks on some frames alone.

    Raises:
        InputError: an object has both, masks for all frames and for single ones.
    """
    whole, single = ({one.name for one in masks if (one.frame is None) == which} for which in (True, False))
    if both := whole & single:
        raise InputError(
            f"{min(both)} has masks for all frames and for single ones",
            hint="Give one kind; of a folder of masks, correct the pictures themselves.",
        )
    return bool(single)


def rotoscope(wanted: Wanted) -> Generator[Event, None, tuple[MaskSource, ...]]:
    """Find or carry the masks of all objects that lack them.

    Yields:
        Progress, and what was found.

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
    painted = record.painted()
    is_same = all(record.plates.get(number, digest) == digest for number, digest in plates.items())
    if painted and not is_same:
        raise InputError(
            "The folder holds masks of another clip that you have corrected",
            where=wanted.folder,
            hint="Choose another output folder, or move them away.",
        )
    here = {layer: {t: path for t, path in some.items() if t in wanted.numbers} for layer, some in painted.items()}
    used = {layer: some for layer, some in here.items() if some}
    asked = _asked(wanted, plates, used)
    if record.asked != asked or not all((wanted.folder / name).is_file() for name in record.files):
        record = replace(record, plates={**record.plates, **plates} if is_same else plates)
        record = yield from _made(wanted, record, asked, used)
    for told in record.told:
        yield Caution(message=told["message"], hint=told["hint"])
    order = list(dict.fromkeys(one.name for one in wanted.masks)) or record.layers
    whole = {one.name: one for one in wanted.masks if one.frame is None}
    locked = {one.name for one in wanted.masks if one.locked}
    carried = {
        layer: MaskSource(name=layer, path=str(wanted.folder / layer), locked=layer in locked) for layer in order
    }
    return tuple((carried | whole)[layer] for layer in order)


def clear_unfinished(folder: Path) -> None:
    """Take away pictures that were begun for the first time and never finished, if none of them is painted."""
    try:
        record = Record.read(folder)
    except InputError:
        return  # whoever asks for masks is told
    if record.is_there and not (record.asked or record.files or record.painted()):
        shutil.rmtree(folder, ignore_errors=True)


def _plates(wanted: Wanted) -> dict[str, str]:
    """See :class:`Record`."""
    info, unchanged = wanted.clip.info, wanted.clip.info.unchanged
    files = files_of(info, wanted.numbers)
    if len(info.files) != info.count:
        return {"": digest_of(files, unchanged)}
    return {str(number): digest_of([file], unchanged) for number, file in zip(wanted.numbers, files, strict=True)}


def _asked(wanted: Wanted, plates: Mapping[str, str], used: Mapping[str, Mapping[int, Path]]) -> str:
    """What the masks follow from, in short."""
    unchanged = wanted.clip.info.unchanged
    given = [
        (one.name, one.frame, one.path if is_marks(one.path) else digest_of([_there(one)], unchanged))
        for one in wanted.masks
        if one.frame is not None
    ]
    changed = {layer: {t: sha256(path) for t, path in pictures.items()} for layer, pictures in used.items()}
    facts = [__version__, plates, list(wanted.numbers), given, changed]
    facts += [] if wanted.masks else [wanted.settings.window]
    models = {setting: files_of_model(setting) for setting in (wanted.settings.find, wanted.settings.carry)}
    facts += [[setting.partition(":")[0], digest_of(files, unchanged)] for setting, files in models.items() if files]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _there(mask: MaskSource) -> Path:
    path = Path(mask.path)
    if not path.is_file():
        raise InputError("There is no such mask", where=path, hint="Of a single frame, give one picture.")
    return path


def _made(
    wanted: Wanted, before: Record, asked: str, used: Mapping[str, Mapping[int, Path]]
) -> Generator[Event, None, Record]:
    """Make all pictures anew, but those that were painted, which are masks that are given."""
    settings = wanted.settings
    recognise = open_model(settings.find, FINDERS, settings.device)
    model = open_model(settings.carry, CARRIERS, settings.device)
    frames = yield from _progress(_read(wanted), 0, _READ)
    camera = yield from _progress(follow_camera(frames), _READ, _FOLLOWED)
    layers = list(dict.fromkeys(one.name for one in wanted.masks if one.frame is not None))
    told: list[dict[str, str]] = []
    keys: dict[str, dict[int, Cutout]] = {layer: _given(wanted, layer, frames) for layer in layers}
    if not wanted.masks:
        keys = yield from _progress(_found(camera, recognise), _FOLLOWED, _FOLLOWED + 0.2)
    found = keys.copy()
    for layer, pictures in used.items():
        if layer in keys or not wanted.masks:
            fixed = {
                wanted.numbers.index(number): _cutout(read_picture(path), frames) for number, path in pictures.items()
            }
            keys[layer] = keys.get(layer, {}) | fixed
    is_found = not wanted.masks and recognise is None
    start, end, masks = _FOLLOWED + (0 if wanted.masks else 0.2), _CARRIED - (0.25 if is_found else 0), {}
    outlines = checkpoint_path(wanted.folder.parent) / f"masks-{asked[:16]}"
    for index, layer in enumerate(keys):
        share = (end - start) / len(keys)
        follow = model or partial(follow_motion, Kept(outlines, layer))
        masks[layer] = yield from _progress(
            carry(camera, keys[layer], follow), start + index * share, start + (index + 1) * share
        )
    if is_found and masks:
        from nvd_core.lattice.regain import regain  # noqa: PLC0415 (few jobs need a solver for their masks)

        settled = {layer: _around(keys[layer], wanted.numbers, some) for layer, some in used.items()}
        regaining = regain(frames, masks, settled, settings.window, wanted.scratch, outlines / "maps")
        masks = yield from _progress(regaining, end, _CARRIED)
    if not wanted.masks:
        shown = yield from _progress(_seen(masks, frames), _CARRIED, _CARRIED)
        masks = {layer: some for layer, some in masks.items() if layer in shown | used.keys()}
        found = {layer: key for layer, key in found.items() if layer in masks}
        told = [_told(found, wanted.numbers, is_learned=recognise is not None)]
    painted = {picture_name(layer, number) for layer, pictures in before.painted().items() for number in pictures}
    before.begin()
    files, left = yield from _progress(_written(wanted, masks, before), _CARRIED, 1)
    wanted.clip.info.unchanged.check_all()
    kept = painted | left
    files |= {name: before.files.get(name, "") for name in kept - files.keys()}
    before.drop(before.names - files.keys())
    record = replace(before, asked=asked, layers=tuple(masks), files=files, told=tuple(told), kept=tuple(sorted(kept)))
    record.write()
    shutil.rmtree(outlines, ignore_errors=True)
    return record


def _around(keys: Collection[int], numbers: range, painted: Collection[int]) -> list[int]:
    """Frames that are nearer to a painted mask than to any other that is given: they follow it alone."""
    return [t for t in range(len(numbers)) if numbers[min(keys, key=lambda key: abs(key - t))] in painted]


def _progress(steps: Generator[float, None, Any], start: float, end: float) -> Generator[Event, None, Any]:
    return mapped(steps, lambda done: Progress(done=start + (end - start) * done))


def _read(wanted: Wanted) -> Generator[float, None, Pictures]:
    """The frames at working size."""
    size = working_size(wanted.clip.info.size, _LINES)
    frames = Pictures.on_disk(wanted.scratch, (size.height, size.width, 3))
    plates = wanted.clip.frames(wanted.numbers)
    for small in map_ordered(lambda plate: to_uint8(resized(to_display(plate), size)), plates, wanted.at_once):
        frames.append(small)
        yield len(frames) / len(wanted.numbers)
    return frames


def _given(wanted: Wanted, layer: str, frames: Pictures) -> dict[int, Cutout]:
    """By frame index, the masks that are given of an object."""
    info, found = wanted.clip.info, {}
    for number, mask in wanted.keys(layer).items():
        if number not in wanted.numbers:
            raise InputError(
                f"The mask of {layer} is of frame {number}, which is not used",
                hint=f"Frames {wanted.numbers[0]}-{wanted.numbers[-1]} are.",
            )
        t = wanted.numbers.index(number)
        if is_marks(mask.path):
            found[t] = Cutout.of(mask_from_marks(parse_marks(mask.path), frames[t], info.size))
        else:
            found[t] = _cutout(_of_size(_there(mask), info), frames)
        if found[t].bounds is None:
            raise InputError(f"The mask of {layer} is black", where=mask.path, hint="White marks the object.")
    return found


def _of_size(path: Path, info: ClipInfo) -> Num[np.ndarray, "height width chan"]:
    picture = read_picture(path)
    size = Size(picture.shape[1], picture.shape[0])
    if size != info.size:
        raise InputError(
            f"The mask is {size}, the clip is {info.size}", where=path, hint="Render it at the clip's size."
        )
    return picture


def _cutout(picture: Num[np.ndarray, "height width chan"], frames: Pictures) -> Cutout:
    return Cutout.of((resized(coverage(picture), Size(frames.shape[2], frames.shape[1])) > 0.5).astype(np.float32))


def _found(camera: Camera, recognise: Recognise | None) -> Generator[float, None, dict[str, dict[int, Cutout]]]:
    """Masks of what moves by itself, or what a model knows, in the frames that show it best."""
    objects = yield from find_objects(camera) if recognise is None else find_known(camera, recognise)
    return {
        f"object{index + 1 if index else ''}": {
            t: Cutout.of(mask) for t, mask in ({one.t: one.mask} | dict(one.others)).items()
        }
        for index, one in enumerate(objects)
    }


def _seen(masks: Mapping[str, Sequence[Cutout]], frames: Pictures) -> Generator[float, None, set[str]]:
    """Objects that are not hidden by those before them in every frame: what was found twice is one."""
    places, shown = pixel_grid(frames.shape[1:3]), set[str]()
    least = max(_LEAST_PX, _LEAST * places[..., 0].size)
    for cutouts in zip(*masks.values(), strict=True):
        left = np.ones(frames.shape[1:3], bool)
        for layer, one in zip(masks, cutouts, strict=True):
            own = (one.at(places) > 0.5) & left
            left &= ~own
            shows = cv2.erode(own.astype(np.uint8), np.ones((3, 3), np.uint8))
            shown |= {layer} if np.count_nonzero(shows) >= least else set()
        yield 1.0
    return shown


def _told(found: Mapping[str, Collection[int]], numbers: range, *, is_learned: bool) -> dict[str, str]:
    """What is to be said of what was found, by name the frames in which it was."""
    if not found:
        what = "that the model is sure of" if is_learned else "that moves by itself"
        return {
            "message": f"No mask is given, and nothing was found {what}: the clip is one background",
            "hint": "Give an object a mask on one frame, if there is one.",
        }
    frames = {name: ", ".join(str(numbers[t]) for t in sorted(some)) for name, some in found.items()}
    where = ", ".join(f"{name} (outlined in frame {some})" for name, some in frames.items())
    return {
        "message": f"No mask is given; found by {'the model' if is_learned else 'its motion'}: {where}",
        "hint": "Look at the pictures in the folder masks; paint one better and decompose again, or give masks.",
    }


def _written(
    wanted: Wanted, masks: Mapping[str, Sequence[Cutout]], record: Record
) -> Generator[float, None, tuple[dict[str, str], set[str]]]:
    """Write the masks at the plate's size; what is given as a picture is written as it is.

    Returns:
        Digests of what was made, by name, and the names of those that were painted, which stay.
    """
    files: dict[str, str] = {}
    left: set[str] = set()
    scale = wanted.clip.info.size.height / working_size(wanted.clip.info.size, _LINES).height

    def finished(item: tuple[int, Num[np.ndarray, "height width 3"]]) -> dict[str, UInt8[np.ndarray, "height width"]]:
        t, plate = item
        display = to_display(plate)
        return {layer: to_uint8(matte_of(cutouts[t], display, scale)) for layer, cutouts in masks.items()}

    plates = enumerate(wanted.clip.frames(wanted.numbers))
    for t, alphas in enumerate(map_ordered(finished, plates, wanted.at_once)):
        number = wanted.numbers[t]
        for layer, alpha in alphas.items():
            name, key = picture_name(layer, number), wanted.keys(layer).get(number)
            own = None if key is None or is_marks(key.path) else _there(key)
            content = _png(alpha) if own is None else _exact(own, wanted.folder / name)
            files[name] = hashlib.sha256(content).hexdigest()
            if not record.put(name, content):
                left.add(name)
        yield (t + 1) / len(wanted.numbers)
    return files, left


def _exact(path: Path, place: Path) -> bytes:
    """A mask as it is, at its own depth."""
    if place.is_file() and path.samefile(place):
        return path.read_bytes()
    picture = read_picture(path)
    matte: Matte = coverage(picture)
    return _png(to_uint8(matte) if picture.dtype == np.uint8 else np.rint(matte * 65535).astype(np.uint16))


def _png(mask: Num[np.ndarray, "height width"]) -> bytes:
    return cv2.imencode(".png", mask)[1].tobytes()
