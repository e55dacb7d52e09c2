"""Whether a job that is ended at random moments always ends in the same bytes.

    python benchmarks/kills.py [--kills 50] [--seed 0] [--of carried windows stmap pictures film found] [--json]
    python benchmarks/kills.py --every [--stride 1] [--handover]
                               [--of unpainted painted corrected new export overscan] [--json]

Little clips are decomposed, exported and rendered, undisturbed at first. Then again and again each is started, ended at
a moment drawn evenly over the time it took, up to three times in a row, in one of several ways, and finished. After
every end, the manifest must be whole or not there; a polite end must say so in one sentence and leave nothing
half-written. After the last, every file must be the same as undisturbed, and none must be left over.

With --every the moments are not drawn: jobs that replace a result, or write one or its STMaps, end before each single
thing that they do to files, or before every so many; with --handover only while a result takes the place of a former
one, which takes seconds. See kill_events.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kill_events import EVENTS, VARIES
from kill_events import ends as ends_of

from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import CANCELLED
from nvd_core.spec.folder import manifest_path
from nvd_core.spec.manifest import read_manifest

MOST_IN_A_ROW = 3

MOMENTS = ["carried", "windows", "stmap", "pictures", "film", "found"]

STARTS_S = 0.5
"""Time of an interpreter's start, where the system does not tell which signals a process hears."""

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Case:
    """Something to end: what is run, what it is called the second time, and where its files go."""

    arguments: list[str]
    again: list[str]
    folder: Path
    is_worker: bool = False

    def start(self, arguments: list[str]) -> Process:
        run = [sys.executable, "-m", "nvd_core", *arguments]
        pipe = subprocess.PIPE
        out = subprocess.DEVNULL  # the worker's events
        return subprocess.Popen(run, stdin=pipe, stdout=out, stderr=pipe, text=True, errors="replace")

    def finish(self, arguments: list[str]) -> float:
        """Run to the end; the seconds it took are returned."""
        started = time.monotonic()
        process = self.start(arguments)
        if not self.is_worker:
            process.stdin.close()
            process.stdin = None
        talk = process.stderr.read()
        if process.wait():
            raise AssertionError(f"could not be finished: {talk}")
        return time.monotonic() - started


def send(number: int, process: Process) -> None:
    process.send_signal(number)


def send_twice(process: Process) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)


def close(process: Process) -> None:
    process.stdin.close()


POLITE: dict[str, Callable[[Process], None]] = {
    "SIGTERM": partial(send, signal.SIGTERM),
    "SIGINT": partial(send, signal.SIGINT),
    "SIGINT twice": send_twice,
}
ENDS = {"SIGKILL": Process.kill, "end of input": close, **POLITE}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", nargs="*")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--handover", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.every:
            rows = at_every_event(
                Path(place), options.of or list(EVENTS), options.stride, options.seed, handover=options.handover
            )
        else:
            rows = measured(Path(place), options.of or MOMENTS, options.kills, options.seed)
    bad = [row for row in rows if row["faults"]]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            print(row["case"], "ended by", ", ".join(row["ends"]) + ":", "; ".join(row["faults"]) or "the same bytes")
        print(
            f"{sum(len(row['ends']) for row in rows)} ends, {len(bad)} of {len(rows)} jobs did not end as undisturbed"
        )
    return len(bad) > 0


def at_every_event(place: Path, names: list[str], stride: int, seed: int, *, handover: bool) -> list[dict[str, object]]:
    """End jobs before everything that they do to files, or every so many, from one that the seed draws."""
    first = random.Random(seed).randint(1, stride)  # noqa: S311
    rows: list[dict[str, object]] = []
    for name in names:
        (place / name).mkdir()
        found = dict(ends_of(place / name, name, stride, first, handover=handover))
        faults = [f"{event}: {fault}" for event, some in found.items() for fault in some]
        rows.append({"case": name, "ends": [f"event {event}" for event in found], "faults": faults})
    return rows


def measured(place: Path, names: list[str], kills: int, seed: int) -> list[dict[str, object]]:
    """End jobs so many times; one row a job."""
    draw = random.Random(seed)  # noqa: S311
    wanted = cases(place, names)
    undisturbed: dict[str, tuple[float, dict[str, bytes]]] = {}
    rows: list[dict[str, object]] = []
    done = 0
    while done < kills:
        name = names[len(rows) % len(names)]
        case = wanted[name]
        if name not in undisturbed:
            took_s = case.finish(case.arguments)
            undisturbed[name] = took_s, files(case.folder)
        took_s, expected = undisturbed[name]
        shutil.rmtree(case.folder)
        ends, faults = [], []
        for _ in range(min(kills - done, draw.randint(1, MOST_IN_A_ROW))):
            ways = [way for way in ENDS if way != "end of input" or case.is_worker]
            way = draw.choice(["SIGKILL", *ways])  # which counts double
            after_s = draw.uniform(0, took_s)
            ends.append(f"{way} after {after_s:.2f} s")
            faults += ended(case, way, after_s, expected.keys(), is_first=len(ends) == 1)
            done += 1
        case.finish(case.again)
        found = files(case.folder)
        faults += [f"{path} differs" for path in sorted(found.keys() & expected) if found[path] != expected[path]]
        faults += [f"{path} is left over" for path in sorted(found.keys() - expected)]
        faults += [f"{path} is missing" for path in sorted(expected.keys() - found)]
        rows.append({"case": name, "ends": ends, "faults": faults})
        told = f"{name}, ended by {', '.join(ends)}: {'; '.join(faults) or 'the same bytes'}"
        print(told, file=sys.stderr, flush=True)
    return rows


def cases(place: Path, names: list[str]) -> dict[str, Case]:
    """What can be ended, of what is asked for."""
    little = write_clip(place / "clip", 14, Size(200, 112))
    one = sorted(little.masks["sign"].iterdir())[6]
    carried = ["decompose", str(little.frames), f"--mask=sign@7={one}", "--preset=preview"]
    source = str(place / "source")
    made: dict[str, Case] = {}
    if not {"stmap", "pictures", "film"}.isdisjoint(names):
        subprocess.run([sys.executable, "-m", "nvd_core", *carried, "-o", source], check=True, capture_output=True)
        for name, out in (("pictures", "pictures/frames"), ("film", "film/film.mp4")):
            run = ["render", source, "-o", str(place / out)]
            made[name] = Case(run, [*run, "--replace"], place / name)
        export = ["export", source, "--stmap"]
        made["stmap"] = Case(export, export, place / "source" / "stmap")
    if "windows" in names:
        run = ["worker", str(_job_of_windows(place)), str(place / "windows")]
        made["windows"] = Case(run, [*run, "--resume"], place / "windows", is_worker=True)
    found = ["decompose", str(little.frames), "--preset=preview"]
    for name, job in (("carried", carried), ("found", found)):
        run = [*job, "-o", str(place / name)]
        made[name] = Case(run, [*run, "--resume"], place / name)
    return made


def _job_of_windows(place: Path) -> Path:
    """A clip that is solved in windows."""
    clip = write_clip(place / "long", 40, Size(160, 90))
    job = {
        "clip": str(clip.frames),
        "masks": [{"name": "sign", "path": str(clip.masks["sign"])}],
        "settings": {"preset": "preview", "window": 16},
    }
    (place / "job.json").write_text(json.dumps(job))
    return place / "job.json"


def ended(case: Case, way: str, after_s: float, expected: Collection[str], *, is_first: bool) -> list[str]:
    """Start a job and end it; what is wrong then is returned.

    Of a job that has made all that is expected, only the interpreter is left, and again it is the system that answers.
    """
    with case.start(case.arguments if is_first else case.again) as process:
        if not (case.is_worker or way == "end of input"):
            process.stdin.close()
            process.stdin = None
        time.sleep(after_s)
        if way != "SIGKILL":
            until_heard(process)
        ENDS[way](process)
        if way == "end of input":
            process.stdin = None
        talk = process.stderr.read().strip()
        code = process.wait()
    faults = []
    if manifest_path(case.folder).exists():
        read_manifest(case.folder)
    if way == "SIGKILL":
        return faults
    if code not in {0, CANCELLED} and not (code < 0 and files(case.folder).keys() == expected):
        faults.append(f"{way} made it end with {code}")
    is_told = case.is_worker or [line[:14] for line in talk.splitlines() if "ancelled" in line] == ["nvd: Cancelled"]
    if "Traceback" in talk or (code == CANCELLED and not is_told):
        faults.append(f"{way} made it say {talk!r}")
    faults += [f"{way} left {path}" for path in files(case.folder) if ".part" in path or path.endswith(".lock")]
    return faults


def until_heard(process: Process) -> None:
    """Wait until the program handles signals: before, while the interpreter starts, it is the system that answers."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        time.sleep(STARTS_S)
        return
    while process.poll() is None:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)


def files(folder: Path) -> dict[str, bytes]:
    """All files that must be the same, by their relative paths."""
    found = {os.path.relpath(path, folder): path for path in folder.rglob("*") if path.is_file()}
    return {name: b"" if name in VARIES else path.read_bytes() for name, path in found.items()}


if __name__ == "__main__":
    sys.exit(main())
