"""How long the published recipe takes to a PSNR that the lattice solver has: ``python benchmarks/peer.py --help``.

Both work on the same frames, in one run, and everything that either needs to get there is timed. The recipe is that
of ``nvd decompose --solver neural --preset paper``.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, final

import numpy as np
import tyro
from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from nvd_core.clip import frames_used, open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import write_clip
from nvd_core.hashing_nvd.footage import prepare_footage
from nvd_core.hashing_nvd.from_random import STEPS
from nvd_core.hashing_nvd.recipe import Recipe
from nvd_core.hashing_nvd.train import CHUNK, Training
from nvd_core.image.colour import display_from_linear
from nvd_core.job_files import check_settings, parse_mask
from nvd_core.lattice.solve import solve
from nvd_core.masks import open_mattes
from nvd_core.quality.metrics import PooledPsnr, squared_errors
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.parallel import WORKERS, map_ordered
from nvd_core.runtime.training_loop import Limits
from nvd_core.shot import PlateFrame, Shot, prepare
from nvd_core.shot.compositing import look_up, rebuild
from nvd_core.spec.errors import NvdError, UsageError
from nvd_core.spec.settings import MaskSource, Settings, working_lines

import torch  # isort: skip (after the solver, which keeps its threads from spinning)


_LOOK_EVERY = 5
"""Steps from one estimate of the networks' PSNR to the next; looking is not timed."""


@final
@dataclass(frozen=True)
class Row:
    """What one side reached, and what it took: CPU seconds over all threads, and PSNRs in dB."""

    who: str
    work: str
    cpu_seconds: float
    psnr: float
    psnr_atlas_only: float


def main(
    clip: Annotated[Positional[Path | None], arg(metavar="CLIP", help="As nvd decompose takes it.")] = None,
    /,
    *,
    mask: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=PATH", help="As there, front to back.")] = (),
    height: Annotated[int, arg(help="Lines of the clip that both are given.")] = 216,
    frames: Annotated[str, arg(metavar="A-B", help="Plate frame numbers; all if empty.")] = "",
    until: Annotated[float, arg(metavar="DB", help="PSNR that both have to reach.")] = 22,
    seconds: Annotated[float, arg(help="CPU seconds after which the recipe is given up.")] = 5000,
    batch: Annotated[int, arg(help="Pixels in a step of the recipe. On a CPU fewer get there sooner.")] = 10_000,
    json: Annotated[bool, arg(help="Write the result as JSON.")] = False,
) -> None:
    """Decompose a clip, train the published networks on it until they are as good, and print both.

    Without CLIP, a little clip of our own is made.
    """
    settings = check_settings({"height": height, "frames": frames})
    with TemporaryDirectory() as folder:
        shot = _shot(clip, tuple(parse_mask(text) for text in mask), settings, Path(folder))
        ours = _fastest(shot, until, Path(folder))
    budget = Limits(STEPS, budget_s=ours.cpu_seconds)
    same = _published("published, same time", shot, budget, seconds=budget.budget_s, batch=batch)
    target = Limits(STEPS, target_psnr=until)
    theirs = _published(f"published, to {until:g} dB", shot, target, seconds=seconds, batch=batch)
    result = {
        "size": str(shot.size),
        "frames": len(shot.numbers),
        "layers": shot.names,
        "threads": WORKERS,
        "until": until,
        "batch": batch,
        "rows": [asdict(row) for row in (ours, same, theirs)],
        "times_as_long": theirs.cpu_seconds / ours.cpu_seconds,
        "has_reached": theirs.psnr >= until,
    }
    print(dumps(result, indent=2) if json else _words(result))


def _shot(clip: Path | None, masks: tuple[MaskSource, ...], settings: Settings, folder: Path) -> Shot:
    """The clip, itself at working size, so that both sides see the same pixels and no more than these."""
    if clip is None:
        demo = write_clip(folder / "demo")
        clip, masks = demo.frames, tuple(MaskSource.of(name=name, path=str(path)) for name, path in demo.masks.items())
    source = open_clip(clip)
    numbers = frames_used(settings.frames, source.info)
    shot = prepare(source, open_mattes(masks, source.info), numbers, working_lines(settings))
    for number, frame, *alphas in zip(numbers, shot.frames, *shot.alphas, strict=True):
        write_png(folder / "frames" / f"{number:05}.png", frame)
        for name, alpha in zip(shot.names[:-1], alphas, strict=False):
            write_png(folder / "masks" / name / f"{number:05}.png", np.dstack([alpha] * 3))
    shrunk = open_clip(folder / "frames")
    mattes = open_mattes(
        [MaskSource.of(name=name, path=str(folder / "masks" / name)) for name in shot.names[:-1]], shrunk.info
    )
    return prepare(shrunk, mattes, numbers, shot.size.height)


def _fastest(shot: Shot, until: float, folder: Path) -> Row:
    """The lattice with the first preset that reaches the PSNR."""
    for preset in ("preview", "standard"):
        _talk(f"The lattice decomposes the clip, preset {preset} ...")
        ours = _lattice(shot, Settings(preset=preset, height=shot.size.height), folder / preset)
        if ours.psnr >= until:
            return ours
    raise UsageError(f"The lattice has {ours.psnr:.1f} dB, which is less", hint="Give a smaller --until.")


def _lattice(whole: Shot, settings: Settings, folder: Path) -> Row:
    """Shrink the clip to the size that the preset solves at, solve, and rebuild every frame as large as it was."""
    began = time.process_time()
    shot = prepare(whole.clip, whole.mattes, whole.numbers, working_lines(settings))
    solution = solve(shot, settings, Checkpoints.open(folder, "", resume=False))
    atlases = [solution.colour(name) for name in solution.layers]

    def rebuilt(frame: PlateFrame) -> tuple[np.ndarray, np.ndarray]:
        layers = tuple(solution.frame(frame.number, frame.plate, frame.mattes))
        surfaces = [look_up(atlas, layer.uv_atlas) for atlas, layer in zip(atlases, layers, strict=True)]
        pairs = list(zip(layers, surfaces, strict=True))
        lit = rebuild([(layer.alpha, layer.residual, surface) for layer, surface in pairs])
        flat = rebuild([(layer.alpha, np.ones_like(surface), surface) for layer, surface in pairs])
        return display_from_linear(lit), display_from_linear(flat)

    psnr, psnr_atlas_only = PooledPsnr(), PooledPsnr()
    for truth, (lit, flat) in zip(whole.frames, map_ordered(rebuilt, whole.plates(whole.numbers)), strict=True):
        psnr.merge(PooledPsnr.of(squared_errors(lit, truth / 255)))
        psnr_atlas_only.merge(PooledPsnr.of(squared_errors(flat, truth / 255)))
    work = f"preset {settings.preset}, solved at {shot.size}, every frame rebuilt"
    return Row("lattice", work, time.process_time() - began, psnr.decibels, psnr_atlas_only.decibels)


def _published(who: str, shot: Shot, limits: Limits, *, seconds: float, batch: int) -> Row:
    """Optical flow, the fit of the mappings, and training, until the PSNR is reached or the time is over.

    Looking at the PSNR and rebuilding the frames are not timed.
    """
    _talk(f"The published networks train: {who} ...")
    torch.set_num_threads(WORKERS)
    began = time.process_time()
    footage = prepare_footage(shot, torch.device("cpu"))
    training = Training(footage, recipe=Recipe(), batch=batch, seed=0, backend="torch")
    flow = time.process_time() - began
    fit = 0.0
    while flow + training.cpu_seconds < seconds:
        training.advance(limits)
        if training.steps == 0:
            fit = training.cpu_seconds
        elif training.steps % _LOOK_EVERY == 0:
            psnr, _ = _psnr(training, every=4)
            _talk(f"{flow + training.cpu_seconds:.0f} CPU s, step {training.steps}: {psnr:.2f} dB")
            # Some of the pixels say when to look at all, which decide.
            if psnr >= limits.target_psnr and _psnr(training)[0] >= limits.target_psnr:
                break
    work = f"flow {flow:.1f} s, fit {training.fitted} steps {fit:.0f} s, training {training.steps} steps"
    return Row(who, work, flow + training.cpu_seconds, *_psnr(training))


def _psnr(training: Training, every: int = 1) -> tuple[float, float]:
    """Of every frame as the networks rebuild it, with the residual and without; of every so many pixels each way."""
    lit, flat = PooledPsnr(), PooledPsnr()
    colours = (part for frame in training.footage.frames for part in frame[::every, ::every].flatten(0, 1).split(CHUNK))
    with torch.no_grad():
        for points, truth in zip(training.all_pixels(every), colours, strict=True):
            sample, plate = training.networks.sample(points), (truth / 255).numpy()
            lit.merge(PooledPsnr.of(squared_errors(sample.rebuilt().numpy(), plate)))
            flat.merge(PooledPsnr.of(squared_errors(sample.unlit().numpy(), plate)))
    return lit.decibels, flat.decibels


def _words(result: dict[str, Any]) -> str:
    """The result, to be read."""
    lines = [
        f"{result['size']}, {result['frames']} frames, {result['threads']} threads; {result['batch']} pixels a step\n",
        f"{'':22}{'CPU s':>9}{'PSNR':>8}{'atlas only':>12}",
    ]
    for row in result["rows"]:
        numbers = f"{row['cpu_seconds']:9.1f}{row['psnr']:8.2f}{row['psnr_atlas_only']:12.2f}"
        lines.append(f"{row['who']:22}{numbers}  {row['work']}")
    times = ("" if result["has_reached"] else "more than ") + f"{result['times_as_long']:.1f} times as long"
    return "\n".join([*lines, f"\nTo {result['until']:g} dB the published recipe takes {times} as the lattice."])


def _talk(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
