"""The lattice solver and the published recipe on the same clip, in one run: ``python benchmarks/peer.py --help``.

The recipe is the neural solver's. What is done in its favour: neither optical flow, nor the fit of the mappings
that it starts from, nor rebuilding counts as its time, and it sees the masks as good as they are.
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

from nvd_core.checkpoints import Checkpoints
from nvd_core.clip import open_clip, parse_range
from nvd_core.clip.colour import display_from_linear
from nvd_core.clip.pictures import write_png
from nvd_core.compositing import look_up, rebuild
from nvd_core.demo_clip import write_clip
from nvd_core.errors import NvdError
from nvd_core.jobs import check_settings, parse_mask
from nvd_core.lattice.solve import solve
from nvd_core.masks import open_mattes
from nvd_core.metrics import PooledPsnr
from nvd_core.neural import recipe as published
from nvd_core.neural.footage import prepare_footage
from nvd_core.neural.train import CHUNK, Training
from nvd_core.parallel import WORKERS, map_ordered
from nvd_core.settings import MaskSource, Settings, working_lines
from nvd_core.shot import PlateFrame, Shot, prepare
from nvd_core.steps import finished

import torch  # isort: skip (after the solver, which keeps its threads from spinning)

_FIT_STEPS, _FIT_BATCH, _FIT_RATE = 400, 1_000, 1e-3


@final
@dataclass(frozen=True)
class Row:
    """What one side reached, and what it took."""

    who: str
    cpu_seconds: float
    wall_seconds: float
    psnr: float
    psnr_atlas_only: float


@final
@dataclass(frozen=True)
class Ratio:
    """The recipe over the lattice.

    Attributes:
        who: the recipe's row.
        cpu_seconds: a ratio of times.
        squared_error: a ratio of mean squared errors.
        psnr: a difference, dB; negative where the recipe is behind.
        psnr_atlas_only: likewise.
    """

    who: str
    cpu_seconds: float
    squared_error: float
    psnr: float
    psnr_atlas_only: float

    @classmethod
    def of(cls, peer: Row, ours: Row) -> Ratio:
        """Of two rows of one run."""
        ahead, ahead_atlas_only = peer.psnr - ours.psnr, peer.psnr_atlas_only - ours.psnr_atlas_only
        return cls(peer.who, peer.cpu_seconds / ours.cpu_seconds, 10 ** (-ahead / 10), ahead, ahead_atlas_only)

    def words(self) -> str:
        """What follows for the time to the same PSNR: all that one pair of times and PSNRs can say."""
        bound = "at least" if self.psnr < 0 else "at most"
        reached = "the networks have reached" if self.psnr < 0 else "the lattice has reached"
        return f"To the PSNR that {reached}, the lattice is {bound} {self.cpu_seconds:.1f} times as fast."


def main(
    clip: Annotated[Positional[Path | None], arg(metavar="CLIP", help="As nvd decompose takes it.")] = None,
    /,
    *,
    mask: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=PATH", help="As there, front to back.")] = (),
    height: Annotated[int, arg(help="Lines that both work at.")] = 216,
    frames: Annotated[str, arg(metavar="A-B", help="Plate frame numbers; all if empty.")] = "",
    seconds: Annotated[
        float | None, arg(help="CPU seconds to train the recipe on to, once it had as many as the lattice.")
    ] = None,
    batch: Annotated[
        int, arg(help="Pixels in a step of the recipe. On a CPU fewer get further in the same time.")
    ] = 10_000,
    seed: Annotated[int, arg(help="Of the recipe's networks and batches.")] = 0,
    json: Annotated[bool, arg(help="Write the result as JSON.")] = False,
) -> None:
    """Decompose a clip, train the published networks on it for the same CPU time, and print both.

    Without CLIP, a little clip of our own is made.
    """
    settings = check_settings({"height": height, "frames": frames})
    with TemporaryDirectory() as folder:
        shot = _shot(clip, tuple(parse_mask(text) for text in mask), settings, Path(folder))
        _talk("The lattice decomposes the clip ...")
        ours = _lattice(shot, Settings(height=shot.size.height), Path(folder))
        peers = []
        recipe = _Recipe(shot, seed=seed, batch=batch)
        for name, limit in {"published, same time": ours.cpu_seconds, "published, longer": seconds or 0}.items():
            if limit > recipe.cpu_seconds:
                _talk(f"The published networks train until {limit:.0f} CPU s, then rebuild every frame ...")
                peers.append(_published(recipe, limit, name))
    ratios = [Ratio.of(peer, ours) for peer in peers]
    if json:
        print(dumps(_result(shot, [ours, *peers], ratios, recipe), indent=2))
    else:
        _show(shot, [ours, *peers], ratios, recipe)


def _shot(clip: Path | None, masks: tuple[MaskSource, ...], settings: Settings, folder: Path) -> Shot:
    """The clip, itself at working size, so that both sides see the same pixels and no more than these."""
    if clip is None:
        demo = write_clip(folder / "demo")
        clip, masks = demo.frames, tuple(MaskSource(name=name, path=str(path)) for name, path in demo.masks.items())
    source = open_clip(clip)
    numbers = parse_range(settings.frames, source.info)
    shot = finished(prepare(source, open_mattes(masks, source.info), numbers, working_lines(settings)), lambda _: None)
    for number, frame, *alphas in zip(numbers, shot.frames, *shot.alphas, strict=True):
        write_png(folder / "frames" / f"{number:05}.png", frame)
        for name, alpha in zip(shot.layers[:-1], alphas, strict=False):
            write_png(folder / "masks" / name / f"{number:05}.png", np.dstack([alpha] * 3))
    shrunk = open_clip(folder / "frames")
    mattes = open_mattes(
        [MaskSource(name=name, path=str(folder / "masks" / name)) for name in shot.layers[:-1]], shrunk.info
    )
    return finished(prepare(shrunk, mattes, numbers, shot.size.height), lambda _: None)


def _lattice(shot: Shot, settings: Settings, folder: Path) -> Row:
    """Solve and rebuild every frame; the residual is found while rebuilding, so both are timed."""
    cpu, wall = time.process_time(), time.perf_counter()
    checkpoints = Checkpoints.open(folder / "lattice", "", resume=False)
    solution = finished(solve(shot, settings, checkpoints), lambda _: None)
    atlases = [np.ascontiguousarray(solution.atlas(name)[..., :3]) for name in solution.layers]

    def rebuilt(frame: PlateFrame) -> tuple[np.ndarray, np.ndarray]:
        layers = solution.frame(frame.number, frame.plate, frame.mattes)
        surfaces = [look_up(atlas, layer.uv_atlas) for atlas, layer in zip(atlases, layers, strict=True)]
        pairs = list(zip(layers, surfaces, strict=True))
        lit = rebuild([(layer.alpha, layer.residual, surface) for layer, surface in pairs])
        flat = rebuild([(layer.alpha, np.ones_like(surface), surface) for layer, surface in pairs])
        return display_from_linear(lit), display_from_linear(flat)

    psnr, psnr_atlas_only = PooledPsnr(), PooledPsnr()
    for truth, (lit, flat) in zip(shot.frames, map_ordered(rebuilt, shot.plates(shot.numbers)), strict=True):
        psnr.add(lit, truth / 255)
        psnr_atlas_only.add(flat, truth / 255)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    return Row("lattice", *spent, psnr.decibels, psnr_atlas_only.decibels)


@final
class _Recipe:
    """The published networks in training; what their mappings start from is not timed."""

    def __init__(self, shot: Shot, *, seed: int, batch: int) -> None:
        torch.set_num_threads(WORKERS)
        footage = finished(prepare_footage(shot, torch.device("cpu")), lambda _: None)
        # The fit is free, so it is made quicker than published, to the same layout.
        quick = Training(
            footage, recipe=published.Recipe(rate_mlp=_FIT_RATE), batch=_FIT_BATCH, seed=seed, backend="torch"
        )
        for _ in range(_FIT_STEPS):
            quick.fit()
        self.training = Training(footage, recipe=published.Recipe(), batch=batch, seed=seed, backend="torch")
        self.training.networks.load_state_dict(quick.networks.state_dict())
        self.cpu_seconds, self.wall_seconds = 0.0, 0.0

    def train(self, cpu_seconds: float) -> None:
        """Train on until this much CPU time is spent in all; the last step may reach beyond it."""
        began = time.perf_counter()
        while self.training.cpu_seconds < cpu_seconds:
            self.training.step()
        self.cpu_seconds = self.training.cpu_seconds
        self.wall_seconds += time.perf_counter() - began

    def psnr(self) -> tuple[PooledPsnr, PooledPsnr]:
        """Of the rebuilt frames, with the residual and without."""
        lit, flat = PooledPsnr(), PooledPsnr()
        colours = (part for frame in self.training.footage.frames for part in frame.flatten(0, 1).split(CHUNK))
        with torch.no_grad():
            for points, truth in zip(self.training.all_pixels(), colours, strict=True):
                sample, plate = self.training.networks.sample(points), (truth / 255).numpy()
                lit.add(sample.rebuilt().numpy(), plate)
                flat.add(sample.unlit().numpy(), plate)
        return lit, flat


def _published(recipe: _Recipe, cpu_seconds: float, who: str) -> Row:
    """Train on, then rebuild every frame, which is not timed."""
    recipe.train(cpu_seconds)
    psnr, psnr_atlas_only = recipe.psnr()
    return Row(who, recipe.cpu_seconds, recipe.wall_seconds, psnr.decibels, psnr_atlas_only.decibels)


def _result(shot: Shot, rows: list[Row], ratios: list[Ratio], recipe: _Recipe) -> dict[str, Any]:
    return {
        "size": str(shot.size),
        "frames": len(shot.numbers),
        "layers": shot.layers,
        "threads": WORKERS,
        "published_steps": recipe.training.steps,
        "published_batch": recipe.training.batch,
        "rows": [asdict(row) for row in rows],
        "ratios": [asdict(ratio) for ratio in ratios],
    }


def _show(shot: Shot, rows: list[Row], ratios: list[Ratio], recipe: _Recipe) -> None:
    print(f"{shot.size}, {len(shot.numbers)} frames, {WORKERS} threads", end="; ")
    print(f"the networks took {recipe.training.steps} steps of {recipe.training.batch} pixels\n")
    print(f"{'':22}{'CPU s':>9}{'wall s':>9}{'PSNR':>9}{'atlas only':>12}")
    for row in rows:
        line = f"{row.who:22}{row.cpu_seconds:9.1f}{row.wall_seconds:9.1f}{row.psnr:9.2f}{row.psnr_atlas_only:12.2f}"
        print(line)
    print("\nThe networks over the lattice:")
    print(f"{'':22}{'time x':>9}{'error x':>9}{'dB':>9}{'atlas only':>12}")
    for one in ratios:
        print(f"{one.who:22}{one.cpu_seconds:9.2f}{one.squared_error:9.2f}{one.psnr:+9.2f}{one.psnr_atlas_only:+12.2f}")
    print(f"\n{ratios[-1].words()}")


def _talk(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
