"""CPU seconds a stage, of this checkout and of another: ``python benchmarks/speed.py --help``.

Both decompose the same clip, one after the other and in turns, so that what else the machine does hits both.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from json import dumps, loads
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.errors import NvdError, UsageError

_HERE = Path(__file__).parents[1]


def main(
    other: Annotated[Positional[Path], arg(metavar="CHECKOUT", help="Another checkout, as of an earlier commit.")],
    clip: Annotated[Positional[Path | None], arg(metavar="CLIP", help="As nvd decompose takes it.")] = None,
    /,
    *,
    mask: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME=PATH", help="As there, front to back.")] = (),
    frames: Annotated[str, arg(metavar="A-B", help="Plate frame numbers; all if empty.")] = "",
    preset: Annotated[str, arg(help="As there.")] = "standard",
    rounds: Annotated[int, arg(help="Both are run so many times; the least of each stage counts.")] = 1,
    json: Annotated[bool, arg(help="Write the result as JSON.")] = False,
) -> None:
    """Decompose a clip with both, and print what each stage took, and the ratio.

    Without CLIP, a little clip of our own is made.
    """
    if not (other / "nvd_core").is_dir():
        raise UsageError("There is no checkout", hint=f"{other} has no nvd_core; git worktree add makes one.")
    with TemporaryDirectory() as text:
        folder = Path(text)
        if clip is None:
            demo = write_clip(folder / "demo")
            clip, mask = demo.frames, tuple(f"{name}={path}" for name, path in demo.masks.items())
        options = [str(clip.resolve()), *(word for one in mask for word in ("--mask", one))]
        options += ["--preset", preset, *(("--frames", frames) if frames else ())]
        runs = [
            (who, _run(checkout.resolve(), options, folder / f"{who} {turn}"))
            for turn in range(rounds)
            for who, checkout in (("before", other), ("now", _HERE))
        ]
    result = _compared([one for who, one in runs if who == "before"], [one for who, one in runs if who == "now"])
    print(dumps(result, indent=2) if json else _words(result))


def _run(checkout: Path, options: Sequence[str], out: Path) -> dict[str, Any]:
    """Decompose with a checkout's code: its report, and CPU seconds of the whole command."""
    command = [sys.executable, "-P", "-m", "nvd_core", "decompose", *options, "-o", str(out)]
    before = _children_s()
    paths = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command, env=paths, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"The run of {checkout} failed", hint=done.stderr.strip()[-400:])
    report = loads((out / "report" / "report.json").read_text(encoding="utf-8"))
    return report | {"cpu_seconds": _children_s() - before}


def _children_s() -> float:
    """CPU seconds of all processes that were run and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _compared(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Both sides of every stage, the least of all rounds; what they are worth; and how the whole compares."""
    sides = [_least(before), _least(now)]
    rows = {name: [side.get(name, 0.0) for side in sides] for name in dict.fromkeys([*sides[0], *sides[1]])}
    measures = {
        name: [side[0]["metrics"][name] for side in (before, now)] for name in ("psnr", "psnr_atlas_only", "psnr_plate")
    }
    return {"stages": rows, "measures": measures, "ratio": rows["whole command"][1] / rows["whole command"][0]}


def _least(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for run in runs:
        stages = [(f"{one['name']} {one['layer']}".strip(), one["cpu_seconds"]) for one in run["costs"]["stages"]]
        for name, seconds in [*stages, ("whole command", run["cpu_seconds"])]:
            found[name] = min(found.get(name, seconds), seconds)
    return found


def _words(result: dict[str, Any]) -> str:
    """The result, to be read."""
    lines = [f"{'CPU s':28}{'before':>9}{'now':>9}{'ratio':>8}"]
    for name, (before, now) in result["stages"].items():
        lines.append(f"{name:28}{before:9.1f}{now:9.1f}{now / before if before else float('nan'):8.2f}")
    lines += [f"{name:28}{before:9.2f}{now:9.2f}" for name, (before, now) in result["measures"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
