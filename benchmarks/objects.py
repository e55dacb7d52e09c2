"""What one more object costs, in time and in memory: ``python benchmarks/objects.py --help``.

A clip is made with so many objects, each of which moves in its own way, and every solver works on it in a process of
its own, as peaks of memory are those of a process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from json import dumps
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Annotated, Any, Final, TypeAlias, final

import cv2
import numpy as np
import tyro
from jaxtyping import Float32
from tyro.conf import FlagCreatePairsOff, UseAppendAction, arg

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import write_clip
from nvd_core.masks import open_mattes
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.costs import peak_memory_bytes
from nvd_core.runtime.parallel import WORKERS
from nvd_core.shot import Shot, prepare
from nvd_core.spec.errors import NvdError, UsageError
from nvd_core.spec.settings import MaskSource, Settings

_PUBLISHED_HOURS: Final = {1: 1.2, 3: 2.2, 5: 3.2}
"""Of Hashing-NVD by objects, on an RTX 3090: run again, and reported, by the authors of RNA."""

_DISC_PX: Final = 121

Masks: TypeAlias = tuple[MaskSource, ...]


@final
@dataclass(frozen=True)
class Cost:
    """What a solver took for a clip; the peak is that of its whole process."""

    solver: str
    objects: int
    cpu_seconds: float
    peak_mib: float


@final
@dataclass(frozen=True)
class Task:
    """What is measured: a shot, a folder to write in, and training steps to take the mean of."""

    shot: Shot
    folder: Path
    steps: int


def _solve(module: str, settings: Settings, task: Task) -> float:
    """CPU seconds of a whole solve."""
    solve = import_module(module).solve  # by name: only what is measured is loaded
    began = process_time()
    solve(task.shot, settings, Checkpoints.open(task.folder, "", resume=False))
    return process_time() - began


def _step(task: Task) -> float:
    """CPU seconds of a training step of the published recipe."""
    from nvd_core.hashing_nvd.footage import prepare_footage  # noqa: PLC0415 (only this needs torch)
    from nvd_core.hashing_nvd.recipe import Recipe  # noqa: PLC0415
    from nvd_core.hashing_nvd.train import Training  # noqa: PLC0415

    import torch  # noqa: PLC0415 # isort: skip (after the solver, which keeps its threads from spinning)

    torch.set_num_threads(WORKERS)
    footage = prepare_footage(task.shot, torch.device("cpu"))
    training = Training(footage, recipe=Recipe(), batch=1000, seed=0, backend="torch")
    training.step()  # the first one also sets up
    began = training.cpu_seconds
    for _ in range(task.steps):
        training.step()
    return (training.cpu_seconds - began) / task.steps


SOLVERS: Final[dict[str, Callable[[Task], float]]] = {
    "lattice": partial(_solve, "nvd_core.lattice.solve", Settings()),
    "lattice, refined": partial(_solve, "nvd_core.solvers.neural", Settings.of(solver="neural", device="cpu")),
    "published step": _step,
}


def main(
    *,
    solver: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help="All if none is named.")] = (),
    objects: Annotated[tuple[int, ...], arg(help="How many, for each clip.")] = (1, 3, 5),
    frames: Annotated[int, arg(help="In a clip.")] = 30,
    height: Annotated[int, arg(help="Lines that all work at.")] = 270,
    steps: Annotated[int, arg(help="Of the published recipe, to take the mean of.")] = 20,
    json: Annotated[bool, arg(help="Write the result as JSON.")] = False,
) -> None:
    """Decompose clips with more and more objects, and print what each took, and the ratio to the first."""
    names = solver or tuple(SOLVERS)
    if not set(names) <= set(SOLVERS):
        raise UsageError("There is no such solver", hint=f"Choose of: {', '.join(SOLVERS)}.")
    costs: list[Cost] = []
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with TemporaryDirectory() as folder, fresh:
        for count in objects:
            clip = Path(folder) / f"{count}"
            masks = fresh.submit(_write_clip, clip, count, frames).result()
            for name in names:
                print(f"{name}, {count} objects ...", file=sys.stderr, flush=True)
                costs.append(fresh.submit(_measure, name, clip, masks, height, steps).result())
    rows = [_row(cost, next(one for one in costs if one.solver == cost.solver)) for cost in costs]
    print(dumps(rows, indent=2) if json else _words(rows))


def _write_clip(folder: Path, objects: int, frames: int) -> Masks:
    """The project's demo clip, its sign the last object; the others are discs in front of it, and apart."""
    demo = write_clip(folder, frames)
    discs = {f"disc{index}": _disc(index) for index in range(objects - 1)}
    for t, path in enumerate(sorted(demo.frames.iterdir())):
        picture = read_rgb(path).astype(np.float32)
        for index, (name, disc) in enumerate(discs.items()):
            turn = cv2.getRotationMatrix2D((_DISC_PX / 2, _DISC_PX / 2), 40 * np.sin(0.2 * t + index), 1.0)
            turn[:, 2] += 5 + 105 * index + 25 * np.sin(0.15 * t + index), 10 + 130 * (index % 2) + t / 2
            placed = cv2.warpAffine(disc, turn, picture.shape[1::-1])
            picture = placed[..., :3] + picture * (1 - placed[..., 3:])
            write_png(
                folder / "masks" / name / path.name, np.dstack([np.rint(255 * placed[..., 3])] * 3).astype(np.uint8)
            )
        write_png(path, np.rint(picture).astype(np.uint8))
    return tuple(MaskSource.of(name=name, path=str(folder / "masks" / name)) for name in [*discs, *demo.masks])


def _disc(seed: int) -> Float32[np.ndarray, "side side 4"]:
    """A disc with grain of its own: 0 to 255, premultiplied with its alpha, 0 to 1."""
    side = (_DISC_PX, _DISC_PX)
    grain = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((*side, 3)).astype(np.float32), (0, 0), 3)
    alpha = cv2.circle(np.zeros(side, np.float32), (_DISC_PX // 2, _DISC_PX // 2), _DISC_PX // 2 - 2, 1.0, -1)
    colour = np.clip(128 + 60 * grain / grain.std(), 0, 255)
    return np.dstack([colour * alpha[..., None], alpha])


def _measure(name: str, folder: Path, masks: Masks, height: int, steps: int) -> Cost:
    """One solver on one clip; to be called in a fresh process."""
    clip = open_clip(folder / "frames")
    mattes = open_mattes(masks, clip.info)
    shot = prepare(clip, mattes, clip.info.numbers, height)
    cpu_seconds = SOLVERS[name](Task(shot, folder / name, steps))
    return Cost(name, len(masks), cpu_seconds, (peak_memory_bytes() or 0) / 2**20)


def _row(cost: Cost, first: Cost) -> dict[str, Any]:
    ratios = {"time_ratio": cost.cpu_seconds / first.cpu_seconds, "memory_ratio": cost.peak_mib / first.peak_mib}
    return asdict(cost) | ratios


def _words(rows: list[dict[str, Any]]) -> str:
    """The rows, to be read, and what is published."""
    lines = [f"{'':22}{'objects':>9}{'CPU s':>9}{'ratio':>7}{'peak MiB':>10}{'ratio':>7}"]
    for row in rows:
        numbers = f"{row['cpu_seconds']:9.2f}{row['time_ratio']:7.2f}{row['peak_mib']:10.0f}{row['memory_ratio']:7.2f}"
        lines.append(f"{row['solver']:22}{row['objects']:9}{numbers}")
    for count, hours in _PUBLISHED_HOURS.items():
        lines.append(f"{'published, RTX 3090':22}{count:9}{hours:7.1f} h{hours / _PUBLISHED_HOURS[1]:7.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
