"""Jobs of different shape for ``forecast.py``: their clips, and what one takes that runs as Blender starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from json import dumps, loads
from math import ceil, inf
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final, NamedTuple, final

import cv2
import numpy as np
import OpenEXR

from nvd_core.runtime.parallel import WORKERS
from nvd_core.spec.choices.mask_origins import MaskPath
from nvd_core.spec.conventions import Size
from nvd_core.spec.forecast import Needs
from nvd_core.spec.protocol import Progress, Stage, decode
from nvd_core.spec.settings import Job, MaskSource, Settings, plain

_LOOK_S: Final = 0.01
"""Memory is looked at so often."""

_ATLASES: Final = "out/atlas/*.orig.exr"


@final
@dataclass(frozen=True, kw_only=True)
class Shape:
    """A job.

    Attributes:
        size: of the clip.
        frames: how many.
        objects: with masks.
        given: a mask for every frame, for the middle one, or none.
        footage: which real clip is taken if there are such.
        settings: of the job.
        has_flow: whether flow is given.
    """

    size: Size
    frames: int
    objects: int = 1
    given: str = "all"
    footage: str = "car-shadow"
    settings: dict[str, Any] = field(default_factory=dict)
    has_flow: bool = False


PREVIEW: Final = {"preset": "preview"}

SHAPES: Final = {
    "eight layers HD": Shape(size=Size(1920, 1080), frames=2, objects=7, footage="camel", settings=PREVIEW),
    "nothing given": Shape(size=Size(480, 270), frames=8, given="none", footage="libby", settings=PREVIEW),
    "four frames": Shape(size=Size(640, 360), frames=4, footage="libby"),
    "preview HD": Shape(size=Size(1920, 1080), frames=3, footage="blackswan", settings=PREVIEW),
    "one mask": Shape(size=Size(480, 270), frames=16, given="one", settings=PREVIEW),
    "still HD": Shape(size=Size(1920, 1080), frames=1, footage="blackswan"),
    "three objects": Shape(size=Size(320, 180), frames=8, objects=3, footage="camel"),
    "200 frames": Shape(size=Size(128, 72), frames=200, footage="camel", settings=PREVIEW),
    "neural": Shape(size=Size(256, 144), frames=4, footage="car-shadow", settings={"solver": "neural"}),
    "final": Shape(size=Size(960, 540), frames=2, footage="libby", settings={"preset": "final"}),
    "windows": Shape(size=Size(192, 108), frames=48, footage="libby", settings={**PREVIEW, "window": 16}),
    "vertical": Shape(size=Size(608, 1080), frames=3, footage="breakdance", settings=PREVIEW),
    "given flow": Shape(size=Size(320, 180), frames=12, footage="blackswan", has_flow=True),
    "standard": Shape(size=Size(400, 224), frames=40, footage="car-shadow"),
    "no object": Shape(size=Size(480, 270), frames=8, objects=0, footage="blackswan"),
}


@final
@dataclass(frozen=True)
class Taken:
    """What a job took.

    Attributes:
        shape: its name.
        memory: the setting.
        at_once: plates that were worked on at a time.
        code: with which it ended.
        said: its last words, where it failed.
        cpu_s: over all threads.
        wall_s: from start to end.
        peak: bytes.
        speed: CPU seconds of a fixed work just before and after; they grow where others want the cores.
        stages: of each its name, layer, CPU seconds, peak of bytes, and the part of its work in which one thread ran.
        told: seconds since the start, part done, seconds left, as they were told.
        texels: of all atlases.
        cores: that were used.
    """

    shape: str
    memory: str
    code: int
    said: str
    cpu_s: float
    wall_s: float
    peak: int
    speed: float
    stages: list[dict[str, Any]]
    told: list[tuple[float, float, float | None]]
    texels: int
    cores: int


def run(name: str, memory: str, footage: Path | None) -> Taken:
    """Run one job in a process of its own."""
    shape = SHAPES[name]
    if memory == "least":
        memory = f"{ceil(needs_of(name, '').memory_bytes(1, WORKERS) / 1e6)}M"
    with TemporaryDirectory() as place:
        folder = Path(place)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:  # whose memory is not inherited
            other.submit(write_clip, folder, shape, footage).result()
        job = job_of(folder, shape, memory)
        (folder / "job.json").write_text(dumps(plain(job)), encoding="utf-8")
        return _watched(name, memory, folder)


def job_of(folder: Path, shape: Shape, memory: str) -> Job:
    """The job of a clip that was written."""
    frame = {"all": None, "one": 1 + shape.frames // 2}
    masks = [
        MaskSource.of(name=f"object{index + 1}", path=str(folder / f"mask{index}"), frame=None)
        for index in range(shape.objects)
    ]
    if shape.given == "one":
        masks = [
            replace(one, path=MaskPath(f"{one.path}/mask.{frame['one']:04d}.png"), frame=frame["one"]) for one in masks
        ]
    settings = Settings.of(
        **shape.settings,
        memory=memory,
        find="nothing" if not shape.objects else "moving",
        **({"flow": str(folder / "flow")} if shape.has_flow else {}),
    )
    return Job(clip=str(folder / "frames"), masks=() if shape.given == "none" else tuple(masks), settings=settings)


class _Look(NamedTuple):
    """A process at a moment: seconds since its start, bytes, CPU seconds, threads that run or could."""

    at: float
    bytes: int
    cpu_s: float
    runs: int


def _watched(name: str, memory: str, folder: Path) -> Taken:
    before = _speed()
    begun = time.monotonic()
    command = [sys.executable, "-m", "nvd_core", "worker", str(folder / "job.json"), str(folder / "out")]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr)
    seen: list[_Look] = []
    watching = Thread(target=_watch, args=(worker.pid, begun, seen))
    watching.start()
    begins: list[tuple[float, str, str]] = [(0.0, "start", "")]
    told, said = [], ""
    assert worker.stdout is not None  # noqa: S101 (it was asked for)
    for line in worker.stdout:
        now, event = time.monotonic() - begun, decode(line)
        if isinstance(event, Stage):
            begins.append((now, event.name, event.layer))
        if isinstance(event, Progress):
            told.append((round(now, 3), event.done, event.eta_s))
        if event is not None and hasattr(event, "message") and hasattr(event, "code"):
            said = event.message
    code = worker.wait()
    wall_s = time.monotonic() - begun
    watching.join()
    ends = [*(at for at, *_ in begins[1:]), inf]
    stages = []
    for (start, stage, layer), end in zip(begins, ends, strict=True):
        looks = [look for look in seen if start <= look.at <= end] or [_Look(start, 0, 0.0, 0)]
        alone, more = (sum(one.runs == 1 for one in looks), sum(one.runs > 1 for one in looks))
        stages.append(
            {
                "name": stage,
                "layer": layer,
                "cpu_s": looks[-1].cpu_s - looks[0].cpu_s,
                "peak": max(look.bytes for look in looks),
                "alone": alone / max(1, alone + 2 * more),
            }
        )
    peak = max((look.bytes for look in seen), default=0)
    with suppress(OSError):  # exact
        costs = loads((folder / "out/report/report.json").read_text(encoding="utf-8"))["costs"]
        peak = max(peak, costs["peak_memory_bytes"])
    sizes = [OpenEXR.File(str(path), header_only=True).header()["dataWindow"][1] for path in folder.glob(_ATLASES)]
    texels = sum((int(right) + 1) * (int(bottom) + 1) for right, bottom in sizes)
    cpu_s, speed = max((look.cpu_s for look in seen), default=0.0), (before + _speed()) / 2
    return Taken(name, memory, code, said, cpu_s, wall_s, peak, speed, stages, told, texels, WORKERS)


def _watch(pid: int, begun: float, seen: list[_Look]) -> None:
    """Note memory, CPU time and threads of a process until it ends."""
    place, second = Path(f"/proc/{pid}"), os.sysconf("SC_CLK_TCK")
    with suppress(OSError, IndexError, ValueError):
        while True:
            status = (place / "status").read_text(encoding="ascii", errors="replace")
            resident = int(status.split("VmRSS:")[1].split()[0]) * 1024
            times = (place / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            runs = 0
            for task in (place / "task").iterdir():
                with suppress(OSError):
                    runs += (task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "R"
            seen.append(_Look(time.monotonic() - begun, resident, (int(times[11]) + int(times[12])) / second, runs))
            time.sleep(_LOOK_S)


def _speed() -> float:
    """CPU seconds of a fixed work."""
    picture = np.random.default_rng(0).random((700, 1000, 3), np.float32)
    start = time.process_time()
    for _ in range(4):
        cv2.GaussianBlur(picture, (0, 0), 4.0)
        np.sort(picture, axis=0)
        np.sqrt(picture) ** 1.7
    return time.process_time() - start


def write_clip(folder: Path, shape: Shape, footage: Path | None) -> None:
    """Write frames, masks and flow of a shape below a folder: of real footage if there is some, else made by code."""
    pictures = _real(footage / shape.footage, shape.size) if footage else _made(shape.size, shape.frames)
    (folder / "frames").mkdir()
    for index in range(shape.objects):
        (folder / f"mask{index}").mkdir()
    last, flows = None, []
    for t, (picture, mask) in enumerate(islice(pictures, shape.frames)):
        cv2.imwrite(str(folder / f"frames/clip.{t + 1:04d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        columns = np.flatnonzero((mask > 127).any(axis=0))
        edges = np.linspace(columns[0], columns[-1] + 1, shape.objects + 1).astype(int) if len(columns) else []
        for index in range(shape.objects):
            part = np.zeros_like(mask)
            if len(columns):
                part[:, edges[index] : edges[index + 1]] = mask[:, edges[index] : edges[index + 1]]
            cv2.imwrite(str(folder / f"mask{index}/mask.{t + 1:04d}.png"), part)
        if shape.has_flow:
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
            if last is not None:
                flows.append(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(last, grey, None))
            last = grey
    if shape.has_flow:
        (folder / "flow").mkdir()
        for t, flow in enumerate([*flows, flows[-1]]):
            cv2.writeOpticalFlow(str(folder / f"flow/flow.{t + 1:04d}.flo"), flow)


def _real(clip: Path, size: Size) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames and masks of a clip, there and back again, cut to a shape."""
    files = sorted((clip / "frames").iterdir())
    for file in cycle([*files, *files[-2:0:-1]]):
        mask = clip / "masks/object" / f"{file.stem}.png"
        pair = cv2.imread(str(file)), cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        height, width = pair[0].shape[:2]
        scale = max(size.width / width, size.height / height)
        left, top = round(width * scale - size.width) // 2, round(height * scale - size.height) // 2
        whole = (round(width * scale), round(height * scale))
        where = np.s_[top : top + size.height, left : left + size.width]
        yield (
            np.ascontiguousarray(cv2.resize(pair[0], whole, interpolation=cv2.INTER_CUBIC)[where]),
            np.ascontiguousarray(cv2.resize(pair[1], whole, interpolation=cv2.INTER_NEAREST)[where]),
        )


def _made(size: Size, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from scale import Clip, write_clip as write  # noqa: I001, PLC0415 (that one is a script, too)

    with TemporaryDirectory() as place:
        write(Path(place), Clip(size, frames))
        for t in range(frames):
            yield (
                cv2.imread(f"{place}/frames/clip.{t + 1:04d}.jpg"),
                cv2.imread(f"{place}/mask/mask.{t + 1:04d}.png", cv2.IMREAD_GRAYSCALE),
            )


def needs_of(name: str, memory: str) -> Needs:
    """What is asked of the forecast."""
    shape = SHAPES[name]
    job = job_of(Path(), shape, memory)
    return Needs.of(shape.size, shape.frames, job.masks, job.settings)
