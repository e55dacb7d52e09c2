"""Whether cost and memory stay in proportion on long and large clips: ``python benchmarks/scale.py --help``.

Clips are made of a textured wall, past which a camera swings there and back, and a disc in front of it. Where every
point of the wall goes is known, and with it how far an edit drifts over the clip and across the joins of windows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from json import dumps, loads
from math import pi
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, final

import cv2
import numpy as np
import tyro
from jaxtyping import Float32, Float64
from tyro.conf import FlagCreatePairsOff, UseAppendAction, arg

from nvd_core.image.sample import resample
from nvd_core.lattice.windows import OVERLAP, windows
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.runtime.costs import peak_memory_bytes
from nvd_core.spec.conventions import BACKGROUND, Size, working_size, x_from_u, y_from_v
from nvd_core.spec.errors import NvdError, UsageError
from nvd_core.spec.settings import Job, MaskSource, Settings, working_lines

_SWING: Final = 600
"""Frames after which the camera is where it was."""

_BY_WORKING_PX: Final = ("map",)
"""Stages whose work is done at working size; that of all others is at the plate's."""


@final
@dataclass(frozen=True)
class Clip:
    """Size and length of a clip, and the clip that its cost is compared with."""

    size: Size
    frames: int
    base: str = ""


CLIPS: Final = {
    "short": Clip(Size(640, 360), 60),
    "long": Clip(Size(640, 360), 1200, "short"),
    "small": Clip(Size(768, 432), 60),
    "4K": Clip(Size(3840, 2160), 60, "small"),
}


@final
@dataclass(frozen=True)
class Cost:
    """What a clip took.

    Attributes:
        clip: its name.
        solving_us: CPU microseconds for each frame and working pixel, of the maps.
        writing_us: CPU microseconds for each frame and plate pixel, of everything else.
        whole_us: CPU microseconds for each frame and plate pixel, of everything.
        peak_mib: of the whole process.
        drift_px: how far from its usual place on the atlas a point of the wall is, plate px: the worst frame's median.
        step_px: how far it moves from a frame to the next: the median.
        join_px: the same in the worst frame where windows meet; None if there is one window.
        return_px: how far apart it is when the camera is where it was; None if it never is.
    """

    clip: str
    solving_us: float
    writing_us: float
    whole_us: float
    peak_mib: float
    drift_px: float
    step_px: float
    join_px: float | None
    return_px: float | None


def main(
    *,
    clip: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help="All if none is named.")] = (),
    memory: Annotated[str, arg(help="As of nvd decompose.")] = "4G",
    window: Annotated[int, arg(help="As of nvd decompose.")] = 200,
    shrink: Annotated[int, arg(help="Of the length of every clip, and of its sides; for a quick look.")] = 1,
    json: Annotated[bool, arg(help="Write the result as JSON.")] = False,
) -> None:
    """Decompose clips, and print what each took for a frame and pixel, against a short and small one."""
    names = clip or tuple(CLIPS)
    if not set(names) <= set(CLIPS):
        raise UsageError("There is no such clip", hint=f"Choose of: {', '.join(CLIPS)}.")
    costs: dict[str, Cost] = {}
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with fresh:
        for name in names:
            print(f"{name} ...", file=sys.stderr, flush=True)
            settings = Settings.of(memory=memory, window=window)
            with TemporaryDirectory() as folder:
                fresh.submit(write_clip, Path(folder), _shrunk(name, shrink)).result()
                costs[name] = fresh.submit(_measured, name, Path(folder), settings).result()
    rows = [_row(cost, costs.get(CLIPS[name].base)) for name, cost in costs.items()]
    print(dumps(rows, indent=2) if json else _words(rows))


def _shrunk(name: str, shrink: int) -> Clip:
    size, frames = CLIPS[name].size, CLIPS[name].frames
    return Clip(Size(size.width // shrink, size.height // shrink), max(2, frames // shrink))


def write_clip(folder: Path, clip: Clip) -> None:
    """Render frames and masks below a folder."""
    size, scale = clip.size, clip.size.width / 640
    wall = np.clip(128 + 55 * _grain(Size(2 * size.width, 2 * size.height), scale, seed=1), 0, 255)
    side = round(0.36 * size.height)
    disc = np.clip(128 + 55 * _grain(Size(side, side), scale, seed=2) * (1, 0.6, 0.3), 0, 255)
    shape = cv2.circle(np.zeros((side, side), np.float32), (side // 2, side // 2), side // 2 - 2, 1.0, -1, cv2.LINE_AA)
    for name in ("frames", "mask"):
        (folder / name).mkdir()
    for t in range(clip.frames):
        phase = 2 * pi * t / 240
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), 20 * np.sin(phase), 1 + 0.1 * np.sin(1.3 * phase))
        turn[:, 2] += (0.3 + 0.18 * np.sin(phase)) * size.width, (0.3 + 0.12 * np.cos(phase)) * size.height
        behind = cv2.warpPerspective(wall, camera(t, size), size)
        front, alpha = cv2.warpAffine(disc, turn, size), cv2.warpAffine(shape, turn, size)
        picture = behind + alpha[..., None] * (front - behind)
        cv2.imwrite(
            str(folder / f"frames/clip.{t + 1:04d}.jpg"), picture.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95]
        )
        cv2.imwrite(str(folder / f"mask/mask.{t + 1:04d}.png"), np.rint(255 * alpha).astype(np.uint8))


def _grain(size: Size, scale: float, seed: int) -> Float32[np.ndarray, "height width 3"]:
    """Grain of several widths."""
    rng, total = np.random.default_rng(seed), np.zeros((size.height, size.width, 3), np.float32)
    for radius in (2 * scale, 5 * scale, 15 * scale, 45 * scale):
        coarse = max(1.0, radius / 2)
        small = (round(size.height / coarse) + 1, round(size.width / coarse) + 1, 3)
        layer = cv2.GaussianBlur(rng.standard_normal(small).astype(np.float32), (0, 0), radius / coarse)
        total += cv2.resize(layer / layer.std(), size, interpolation=cv2.INTER_CUBIC) / 4
    return total


def camera(t: int, size: Size) -> Float64[np.ndarray, "3 3"]:
    """From the wall to a frame: a swing with a little roll and zoom."""
    phase = 2 * pi * t / _SWING
    zoom, roll = 1 + 0.06 * np.sin(phase), np.deg2rad(2 * np.sin(2 * phase))
    turn = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    centre = np.array([(1 + 0.4 * np.sin(phase)) * size.width, (1 + 0.25 * np.sin(2 * phase)) * size.height])
    return np.vstack([np.column_stack([turn, np.array(size) / 2 - turn @ centre]), [0, 0, 1]])


def _measured(name: str, folder: Path, settings: Settings) -> Cost:
    """One clip; to be called in a fresh process."""
    masks = (MaskSource.of(name="disc", path=str(folder / "mask")),)
    decompose(Job(clip=str(folder / "frames"), masks=masks, settings=settings), folder / "out")
    peak_mib = (peak_memory_bytes() or 0) / 2**20
    decomposition = Decomposition.open(folder / "out")
    plate, count = decomposition.size, len(decomposition.manifest.source.numbers)
    working = working_size(plate, working_lines(settings))
    stages = loads((folder / "out/report/report.json").read_text())["costs"]["stages"]
    solving = sum(one["cpu_seconds"] for one in stages if one["name"] in _BY_WORKING_PX)
    whole = sum(one["cpu_seconds"] for one in stages)
    return Cost(
        name,
        1e6 * solving / (count * working.width * working.height),
        1e6 * (whole - solving) / (count * plate.width * plate.height),
        1e6 * whole / (count * plate.width * plate.height),
        peak_mib,
        *_drift(decomposition, settings.window),
    )


def _drift(decomposition: Decomposition, window: int) -> tuple[float, float, float | None, float | None]:
    """See :class:`Cost`."""
    texels, densities = map(np.stack, zip(*_places(decomposition), strict=True))
    places = texels[:, ~np.isnan(texels).all(axis=(0, 2))] / np.median(densities)
    usual = np.nanmedian(places, axis=0)
    drift = [float(np.nanmedian(np.linalg.norm(one - usual, axis=-1))) for one in places]
    steps = np.array([np.nanmedian(np.linalg.norm(b - a, axis=-1)) for a, b in pairwise(places)])
    spans = windows(len(places), window) if len(places) > window else []
    joins = [float(steps[span.start - 1 : span.start + OVERLAP].max()) for span in spans[1:]]
    back = np.linalg.norm(places[_SWING:] - places[:-_SWING], axis=-1)
    return (
        max(drift),
        float(np.median(steps)),
        max(joins, default=None),
        float(np.nanmedian(back)) if len(back) else None,
    )


def _places(decomposition: Decomposition) -> Iterator[tuple[Float32[np.ndarray, "point 2"], float]]:
    """For each frame the texels of points of the wall, NaN where they are not seen, and how many a plate px has."""
    size, (rows, columns) = decomposition.size, decomposition.original(BACKGROUND).shape[:2]
    every = size.width / 16
    x, y = np.meshgrid(np.arange(0, 2 * size.width, every), np.arange(0, 2 * size.height, every))
    wall = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=-1)

    def place(frame: Frame) -> tuple[Float32[np.ndarray, "point 2"], float]:
        at = wall @ camera(frame.number - 1, size).T
        at = (at[:, :2] / at[:, 2:]).astype(np.float32)[None]
        layer = frame.layers[BACKGROUND]
        alone = cv2.erode(layer.alpha, np.ones((5, 5), np.uint8))
        uv, seen = (resample(one, at[..., 0], at[..., 1], outside=0)[0] for one in (layer.uv_atlas, alone))
        inside = (seen > 0.99) & (at[0] > 3).all(axis=-1) & (at[0] < np.array(size) - 4).all(axis=-1)
        texels = np.stack([x_from_u(uv[:, 0], columns), y_from_v(uv[:, 1], rows)], axis=-1)
        density = columns * float(np.median(np.abs(np.diff(layer.uv_atlas[..., 0], axis=1))))
        return np.where(inside[:, None], texels, np.float32(np.nan)), density

    yield from decomposition.over_frames(place)


def _row(cost: Cost, base: Cost | None) -> dict[str, Any]:
    names = ("solving", "writing", "whole")
    ratios = {f"{name}_ratio": getattr(cost, f"{name}_us") / getattr(base, f"{name}_us") for name in names if base}
    return asdict(cost) | ratios


def _words(rows: list[dict[str, Any]]) -> str:
    """The rows, to be read; CPU time for a frame and pixel, with its ratio to the clip that it is compared with."""
    head = ("", "solving", "ratio", "writing", "ratio", "whole", "ratio", "peak MiB", "drift", "step", "join", "return")
    lines = ["".join(f"{one:>9}" for one in head)]
    for row in rows:
        cells = [row["clip"]]
        for name in ("solving", "writing", "whole"):
            cells += [f"{row[f'{name}_us']:.2f}", f"{row[f'{name}_ratio']:.2f}" if f"{name}_ratio" in row else "-"]
        cells.append(f"{row['peak_mib']:.0f}")
        lengths = (row[f"{name}_px"] for name in ("drift", "step", "join", "return"))
        cells += ["-" if length is None else f"{length:.3f}" for length in lengths]
        lines.append("".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
