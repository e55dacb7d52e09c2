"""Whether damaged folders, EXRs, masks, jobs and checkpoints always end in a sentence or a right result.

    python benchmarks/fuzz.py [--inputs 2000 | --seconds 600] [--seed 0] [--of manifest frame ...] [--json]

A little result is copied and damaged in one place: values of another kind or size, bits, cuts, depth, channels, links
out of the folder, pipes. Then a command reads it, in a process of its own with a limit of time. It must end with 0, 2,
3 or 5; what it says must be one sentence and no traceback; nothing outside of its folders may change; what it writes
must be finite; and what nobody has painted on must be the plate.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from fuzz_damages import FRAMES, KINDS, SIZE, Case

from nvd_core.clip.pictures import read_rgb
from nvd_core.faces.cli import run
from nvd_core.faces.demo_clip import write_clip
from nvd_core.image.exr import read_exr
from nvd_core.pipeline import decompose
from nvd_core.spec.errors import CancelledError
from nvd_core.spec.protocol import Event
from nvd_core.spec.settings import Job, MaskSource, Settings

HANGS_S: Final = 120
GOOD: Final = {0, 2, 3, 5}


def prepare(base: Path) -> None:
    """A little clip, its result, one that was cut off, and one with a carried mask; in a process of its own."""
    if (child := os.fork()) == 0:
        clip = write_clip(base / "clip", FRAMES, SIZE)
        frames, masks = str(clip.frames), clip.masks["sign"]
        common = [frames, "--preset=preview", "-o"]
        os.environ["NO_COLOR"] = "1"
        code = run(["decompose", *common, str(base / "result"), f"--mask=sign={masks}"])
        code |= run(["decompose", *common, str(base / "carried"), f"--mask=sign@2={masks / 'sign.0002.png'}"])
        settings = Settings(preset="preview")
        job = Job(clip=frames, masks=(MaskSource.of(name="sign", path=str(masks)),), settings=settings)

        def stop(_: Event) -> None:
            if (base / "begun" / "checkpoint" / "background.atlas.safetensors").is_file():
                raise CancelledError("Cancelled")

        with suppress(CancelledError):
            decompose(job, base / "begun", stop)
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the result to be damaged could not be made")


def snapshot(folder: Path) -> dict[str, str]:
    """Names, kinds and content below a folder; links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = f"link {path.readlink()}"
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[str(path)] = "folder"
    return found


def attempt(case: Case) -> tuple[int, str, float]:
    """Run a case in a process of its own; how it ended (-1: it hung), what it said, and how long it took."""
    began, said = time.monotonic(), case.place / "said"
    if (child := os.fork()) == 0:
        code = 99
        try:
            with said.open("wb") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.chdir(case.place)
            code = run(case.arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 2
        except BaseException:  # noqa: BLE001 (this is what is looked for)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    while time.monotonic() - began < HANGS_S:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), said.read_text(errors="replace"), time.monotonic() - began
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1, said.read_text(errors="replace"), HANGS_S


def faults_of(case: Case, code: int, said: str, before: dict[str, str], base: dict[str, str]) -> list[str]:
    """What is wrong with how a case ended."""
    faults = []
    if code == -1:
        faults.append("hangs")
    elif code not in GOOD:
        faults.append(f"ends with {code}: {said[-1500:]}")
    if "Traceback" in said or "RuntimeWarning" in said:
        faults.append(f"says {said[-1500:]}")
    if code in {3, 5} and not any(line.startswith("nvd: ") and line.endswith(".") for line in said.splitlines()):
        faults.append(f"says no sentence: {said[-300:]}")
    if any(ord(one) < 32 and one not in "\n\t\r" for one in said):
        faults.append(f"says what steers a terminal: {said[-300:]!r}")
    if snapshot(case.outside) != before or snapshot(case.base) != base:
        faults.append("has changed what is outside")
    if code == 0 and case.arguments[0] == "render" and case.keeps_plate:
        faults += _not_the_plate(case)
    if code == 0:
        written = [*case.place.glob("out/**/*.exr"), *case.own.glob("stmap/**/*.exr")]
        faults += [f"{path.name} is not finite" for path in written if not _is_finite(path)]
    return faults


def _not_the_plate(case: Case) -> list[str]:
    plates = [read_rgb(path) for path in sorted((case.base / "clip" / "frames").iterdir())]
    shown = {path.name: read_rgb(path) for path in sorted((case.place / "out").glob("*.png"))}
    return [
        f"{name} is not the plate" for name, one in shown.items() if not any(np.array_equal(one, p) for p in plates)
    ]


def _is_finite(path: Path) -> bool:
    return all(np.isfinite(plane).all() for plane in read_exr(path)[1].values())


def fuzz(place: Path, inputs: int, seconds: float, seed: int, kinds: list[str]) -> list[dict[str, Any]]:
    """Try so many inputs, or for so long; a row for each."""
    base = place / "base"
    base.mkdir()
    prepare(base)
    whole, rows = snapshot(base), []
    weights = [KINDS[name][1] for name in kinds]
    end = time.monotonic() + seconds
    while len(rows) < inputs and time.monotonic() < end:
        dice = random.Random(f"{seed} {len(rows)}")  # noqa: S311
        kind = dice.choices(kinds, weights)[0]
        case = Case(place / str(len(rows)), base, dice)
        case.outside.mkdir(parents=True)
        for name in ("mine.exr", "mine.txt", "mine.0001.exr"):
            (case.outside / name).write_bytes(b"mine")
        KINDS[kind][0](case)
        before = snapshot(case.outside)
        code, said, took_s = attempt(case)
        faults = faults_of(case, code, said, before, whole)
        row = {"number": len(rows), "kind": kind, "case": case.said, "run": case.arguments[0], "code": code}
        rows.append(row | {"took_s": round(took_s, 2), "faults": faults})
        if faults:
            print(f"{row}: {'; '.join(faults)}", file=sys.stderr, flush=True)
        shutil.rmtree(case.place)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """What came of them, by kind."""
    lines = ["| damaged | inputs | read all the same | refused (2) | refused (3) | memory (5) | longest | faults |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_kind[row["kind"]].append(row)
    for kind, some in [*sorted(by_kind.items()), ("all", rows)]:
        codes = Counter(row["code"] for row in some)
        longest, bad = max(row["took_s"] for row in some), sum(bool(row["faults"]) for row in some)
        lines.append(
            f"| {kind} | {len(some)} | {' | '.join(str(codes[c]) for c in (0, 2, 3, 5))} | {longest:.1f} s | {bad} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = fuzz(Path(place), options.inputs, options.seconds, options.seed, options.of)
    print(json.dumps(rows, indent=1) if options.json else table(rows))
    return any(row["faults"] for row in rows)


if __name__ == "__main__":
    sys.exit(main())
