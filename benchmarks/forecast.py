"""What jobs of different shape take, against their forecast: ``python benchmarks/forecast.py --help``.

Every job runs in a process of its own, as Blender starts it. ``--fit`` makes the constants of the forecast anew.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from importlib import reload
from itertools import pairwise
from json import dumps, loads
from math import inf
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import tyro
from forecast_jobs import SHAPES, Taken, needs_of, run
from scipy.optimize import linprog, nnls
from tyro.conf import FlagCreatePairsOff, UseAppendAction, arg

from nvd_core.spec import forecast
from nvd_core.spec.choices.finders import Moving
from nvd_core.spec.choices.propagators import Motion
from nvd_core.spec.choices.solvers import FromLattice
from nvd_core.spec.conventions import BACKGROUND
from nvd_core.spec.errors import NvdError, UsageError

_ROWS: Final = (Moving, Motion, FromLattice)
CPU_S: Final = forecast.CPU_S | {step: units for row in _ROWS for step, units in row.cost.cpu_s.items()}
BYTES: Final = forecast.BYTES | {step: units for row in _ROWS for step, units in row.cost.peak_bytes.items()}
"""The forecast's tables, with the stages whose costs stand at the rows of settings."""

_MARGIN: Final = 1.2
"""So many times what was measured is what memory is said to be. The same job took up to 18 % more on other footage."""

_BOUNDS: Final = {
    "job": (1.2e8, 4.4e8),
    "frame": (3.5e5, 5e5),
    "map": (1.7e5, 3e5),
    "solved_frame": (7e6, 1e7),
    "match": (0, 450),
    "given_frame": (9e6, 2e7),
    "texel": (0, 48),
    "drawing_texel": (48, 48),
    "masks plates_px": (40, 120),
    "mattes plates_px": (60, 120),
    "refine working_px": (20, 100),
}
"""Bytes between which some units lie, for reasons that short clips on two cores do not show: the program with all that
it imports and has not given back, masks of a frame (measured on 1,200), its map, its equations (on 240), a match, a
texel of all pictures that an atlas is made of at once, and of one that a core draws, a pixel of masks (on 4K), and one
that is refined."""

_OWN: Final = 0.6
"""What is less than this part of an earlier stage's memory, or of the masks' any less, says nothing of a stage."""

_FIRST, _SOON, _SOON_S = 0.1, 0.05, 5.0
"""The time left counts from the first part done on, until the second, or so many seconds, are left."""


def by_step(taken: Taken) -> dict[str, list[dict[str, Any]]]:
    """Stages by what the forecast calls them, each with its details."""
    found: dict[str, list[dict[str, Any]]] = {}
    name = "start"
    for stage in taken.stages:
        kind = "the background" if stage["layer"] == BACKGROUND else "an object"
        full = f"{stage['name']} of {kind}"
        if stage["name"] == "start" or full in CPU_S or (stage["name"] in CPU_S and stage["name"] != name):
            name = full if full in CPU_S else stage["name"]
            found.setdefault(name, []).append(dict(stage))
        else:
            last = found[name][-1]
            shares = [(one["cpu_s"] + 1e-9, one["alone"]) for one in (last, stage)]
            last["alone"] = sum(cpu_s * alone for cpu_s, alone in shares) / sum(cpu_s for cpu_s, _ in shares)
            last["cpu_s"] += stage["cpu_s"]
            last["peak"] = max(last["peak"], stage["peak"])
    return found


def fit(log: list[Taken]) -> dict[str, dict[str, dict[str, float]]]:
    """The tables of the forecast, made anew of what was measured: CPU time at its middle, memory as a bound."""
    usual = min(one.speed for one in log)
    rows: dict[str, list[_Row]] = {}
    for taken in log:
        needs = needs_of(taken.shape, taken.memory)
        at_once = needs.plates_at_once(taken.cores)
        amounts = needs.amounts(at_once, taken.cores, taken.texels)
        guessed = needs.amounts(at_once, taken.cores)
        most = 0
        for step, stages in by_step(taken).items():
            for one in stages:
                most = max(most, one["peak"])
                # What an earlier stage was given is not all given back: what is used after it may be its.
                is_own = one["peak"] >= most * (1 if needs.propagated else _OWN)
                is_own &= not needs.loaded_bytes or step == "refine"  # how much of it is there by then is not known
                peak = one["peak"] - needs.loaded_bytes if is_own else 0
                cpu_s = max(0.01, one["cpu_s"] * usual / taken.speed)
                rows.setdefault(step, []).append(_Row(cpu_s, peak, one["alone"], amounts, guessed))
    tables: dict[str, dict[str, dict[str, float]]] = {"CPU_S": {}, "BYTES": {}, "ALONE": {}}
    for step, units in CPU_S.items():
        if step in rows:
            tables["CPU_S"][step] = (
                _near(units, rows[step]) if len(rows[step]) > len(units) else _scaled(units, rows[step])
            )
    for step, units in BYTES.items():
        some = [one for row in rows for one in rows[row] if row.partition(" of ")[0] == step and one.peak]
        if some:
            tables["BYTES"][step] = _above(step, units, some)
    tables["ALONE"] = {"": {step: float(np.mean([one.alone for one in some])) for step, some in rows.items()}}
    return tables


class _Row(NamedTuple):
    """A stage of a job: what it took, and what there was to do, as it is known and as it was guessed beforehand."""

    cpu_s: float
    peak: float
    alone: float
    amounts: dict[str, float]
    guessed: dict[str, float]


def _near(units: Collection[str], rows: Sequence[_Row]) -> dict[str, float]:
    """Costs of units that come nearest to what was measured, in proportion."""
    design = np.array([[one.amounts[unit] / one.cpu_s for unit in units] for one in rows])
    scale = np.maximum(design.max(axis=0), 1e-30)
    found, _ = nnls(design / scale, np.ones(len(rows)))
    return dict(zip(units, (found / scale).tolist(), strict=True))


def _scaled(costs: dict[str, float], rows: Sequence[_Row]) -> dict[str, float]:
    """The same costs in the same proportion, where too few jobs were run to tell them apart."""
    said = [sum(cost * one.amounts[unit] for unit, cost in costs.items()) for one in rows]
    factor = float(np.exp(np.mean([np.log(one.cpu_s / seconds) for one, seconds in zip(rows, said, strict=True)])))
    return {unit: cost * factor for unit, cost in costs.items()}


def _above(step: str, units: Collection[str], rows: Sequence[_Row]) -> dict[str, float]:
    """Costs of units that are never below what was measured, and whose forecast is as little above it as can be."""
    design = np.array([[one.amounts[unit] / one.peak for unit in units] for one in rows])
    guessed = np.array([[one.guessed[unit] / one.peak for unit in units] for one in rows])
    scale = np.maximum(design.max(axis=0), 1e-30)
    known = [_BOUNDS.get(f"{step} {unit}", _BOUNDS.get(unit, (0, inf))) for unit in units]
    bounds = [(least * size, most * size) for (least, most), size in zip(known, scale, strict=True)]
    # Of costs that explain as much the program's own are taken: they do not grow with what was not measured.
    target = (guessed / scale).sum(axis=0) * [1 if unit == "job" else 1.01 for unit in units]
    lacking = np.full(len(rows), -_MARGIN)
    found = linprog(target, A_ub=-design / scale, b_ub=lacking, bounds=bounds)
    if found.x is None:
        raise UsageError(f"Memory of {step} is beyond the bounds of this script", hint="Look at _BOUNDS.")
    return dict(zip(units, (found.x / scale).tolist(), strict=True))


def compared(taken: Taken, usual: float) -> dict[str, Any]:
    """A job against its forecast."""
    needs = needs_of(taken.shape, taken.memory)
    takes = needs.forecast(taken.cores)
    costs = needs.cpu_seconds()
    cpu_s = costs["start"] + sum(costs[row] for row in needs.rows)
    measured_s = taken.cpu_s * usual / taken.speed
    late = [
        max(left / max(eta_s, 1e-9), eta_s / left)
        for at, done, eta_s in taken.told
        if done >= _FIRST and eta_s is not None and (left := taken.wall_s - at) > max(_SOON * taken.wall_s, _SOON_S)
    ]
    changes = [
        0.0,
        *(at for (at, done, _), (_, before, _) in zip(taken.told[1:], taken.told, strict=False) if done > before),
    ]
    stands = max(b - a for a, b in pairwise([*changes, taken.wall_s])) / taken.wall_s
    return {
        "job": taken.shape,
        "memory": taken.memory,
        "code": taken.code,
        "cpu_s": measured_s,
        "cpu_forecast": cpu_s,
        "wall_s": taken.wall_s,
        "wall_forecast": takes.seconds,
        "mb": taken.peak / 1e6,
        "mb_forecast": takes.memory_bytes / 1e6,
        "eta": max(late, default=1.0),
        "stands": stands,
    }


def table(log: list[Taken]) -> str:
    """The jobs against their forecasts, to be read."""
    usual = min(one.speed for one in log)
    lines = [
        f"{'':<22}{'CPU s':>8}{'forecast':>9}{'ratio':>7}{'MB':>7}{'forecast':>9}{'ratio':>7}{'ETA':>6}{'stands':>8}"
    ]
    for taken in log:
        if taken.code:
            lines.append(f"{taken.shape:<22}{taken.said}")
            continue
        one = compared(taken, usual)
        lines.append(
            f"{f'{taken.shape} {taken.memory}':<22}"
            f"{one['cpu_s']:>8.1f}{one['cpu_forecast']:>9.1f}{one['cpu_forecast'] / one['cpu_s']:>7.2f}"
            f"{one['mb']:>7.0f}{one['mb_forecast']:>9.0f}{one['mb_forecast'] / one['mb']:>7.2f}"
            f"{one['eta']:>6.1f}{one['stands']:>8.2f}"
        )
    return "\n".join(lines)


def paste(tables: dict[str, dict[str, dict[str, float]]]) -> None:
    """Write the tables into the forecast; print what belongs to the rows of settings."""
    path = Path(forecast.__file__)
    text = path.read_text(encoding="utf-8")
    for name, found in tables.items():
        kept = {**getattr(forecast, name), **(found.get("", found))}
        if others := {step: kept.pop(step) for step in kept.keys() - getattr(forecast, name).keys()}:
            print(f"{name} of rows in nvd_core/spec/choices: {_written(others)}", file=sys.stderr)
        start = text.index(f"\n{name}: Final")
        begin, end = text.index("= {", start) + 2, text.index('}\n"""', start) + 1
        text = text[:begin] + _written(kept) + text[end:]
    path.write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(path)], check=False)


def _written(value: dict[str, Any] | float) -> str:
    """A table as it stands in the source, its numbers to two digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_written(one)}' for key, one in value.items()) + "}"
    if 100 <= value < 1e4:
        return f"{value:.0f}"
    return f"{value:#.2g}".rstrip(".").replace("e+0", "e").replace("e-0", "e-")


def main(
    *,
    job: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME", help="All if none is named.")] = (),
    memory: Annotated[str, arg(help="As of nvd decompose; least: no more than the job is said to need.")] = "",
    footage: Annotated[Path | None, arg(help="Folder of DAVIS clips, each with frames and masks/object.")] = None,
    log: Annotated[Path, arg(help="What was measured is added there, a line a job.")] = Path("forecast.jsonl"),
    fit_all: Annotated[bool, arg(name="fit", help="Make the constants anew, of all that the log holds.")] = False,
    run_none: Annotated[bool, arg(name="dry", help="Only read the log.")] = False,
) -> None:
    """Run jobs, and print what each took against its forecast."""
    names = job or tuple(SHAPES)
    if not set(names) <= set(SHAPES):
        raise UsageError("There is no such job", hint=f"Choose of: {', '.join(SHAPES)}.")
    for name in () if run_none else names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(dumps(asdict(run(name, memory, footage))) + "\n")
    measured = [Taken(**loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    if fit_all:
        paste(fit([one for one in measured if not one.code]))
        reload(forecast)
    print(table(measured))


if __name__ == "__main__":
    try:
        tyro.cli(main, config=(FlagCreatePairsOff,))
    except NvdError as error:
        sys.exit(str(error))
