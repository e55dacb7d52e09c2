"""What several tests share: running the program, making clips, and looking at what was written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import av
import cv2
import numpy as np
import pytest

from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.pipeline import decompose
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import CancelledError
from nvd_core.spec.protocol import Event
from nvd_core.spec.settings import Job, MaskSource, Settings

SIZE = Size(160, 96)
"""Of the clips that tests make."""


def nvd(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=300, **options)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "nvd_core", *map(str, arguments)]


def job_of(clip: DemoClip, **settings: object) -> Job:
    masks = tuple(MaskSource.of(name=name, path=str(path)) for name, path in clip.masks.items())
    return Job(clip=str(clip.frames), masks=masks, settings=Settings.of(**{"preset": "preview"} | settings))


def flags_of(clip: DemoClip) -> list[object]:
    """The same job as :func:`job_of` makes, for the command line."""
    return [clip.frames, *(f"--mask={name}={path}" for name, path in clip.masks.items()), "--preset=preview"]


def solve(job: Job, folder: Path, *, resume: bool = False, replaces: bool = False) -> list[Event]:
    """Decompose to the end."""
    events: list[Event] = []
    decompose(job, folder, events.append, resume=resume, replaces=replaces)
    return events


def stop(work: Callable[[Callable[[Event], object]], object], when: Callable[[Event], object]) -> list[Event]:
    """Cancel work at the first event for which something holds; its events are returned, that one last."""
    events: list[Event] = []

    def hear(event: Event) -> None:
        events.append(event)
        if when(event):
            raise CancelledError("Cancelled")

    with pytest.raises(CancelledError):
        work(hear)
    return events


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(folder: Path) -> dict[str, bytes]:
    """What a decomposition is made of, wherever it lies; report and log also say how long it took, which varies."""
    made = {name: data for name, data in tree(folder).items() if not name.startswith(("report/", "events.jsonl"))}
    return {name: without_place(data) if name == "manifest.json" else data for name, data in made.items()}


def without_place(manifest: bytes) -> bytes:
    """A manifest that does not say where it was written."""
    return re.sub(rb'"seen_from": ".*"', b"", manifest)


def differing(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    """Names that are in one only or have other content."""
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def wait_until(true: Callable[[], bool], process: subprocess.Popen, limit_s: float = 120) -> None:
    """Watch closely until something holds, while a process runs."""
    end = time.monotonic() + limit_s
    while not true():
        assert process.poll() is None, "the process ended first"
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.0005)


def numbered(index: int, size: Size = SIZE) -> np.ndarray:
    """A picture that says its number in eight black and white bars, over a ramp that tells top from bottom."""
    picture = np.empty((size.height, size.width, 3), np.uint8)
    picture[:] = np.linspace(40, 200, size.height).astype(np.uint8)[:, None, None] * np.uint8([1, 0, 1])
    for bit in range(8):
        bar = slice(bit * size.width // 8, (bit + 1) * size.width // 8)
        picture[size.height // 4 : 3 * size.height // 4, bar] = 255 * (index >> bit & 1)
    return picture


def number_of(plate: np.ndarray) -> int:
    """The number that a picture says."""
    height, width = plate.shape[:2]
    middle = plate[height // 2, :, 1].astype(float) / (np.iinfo(plate.dtype).max if plate.dtype.kind == "u" else 1)
    return sum(int(middle[(2 * bit + 1) * width // 16] > 0.5) << bit for bit in range(8))


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    size: Size = SIZE,
    *,
    pixels: str = "yuv420p",
    turned: int = 0,
    is_even: bool = True,
    **options: str,
) -> Path:
    """A real H.264 file with B-frames and a key frame every ten; turned, in degrees, by its metadata alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "bf": "2", "crf": "12"})
        stream.pix_fmt, stream.width, stream.height = pixels, *size
        stream.set_display_rotation(turned)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if not is_even:
                frame.pts, frame.time_base = index + index // 2, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_masks(folder: Path, masks: list[np.ndarray], first: int = 1) -> Path:
    for index, mask in enumerate(masks):
        write_png(folder / f"mask.{first + index:04d}.png", np.dstack([mask] * 3))
    return folder


def disc(centre: tuple[int, int], radius: int = 14, size: Size = SIZE) -> np.ndarray:
    """A mask of one round object."""
    mask = np.zeros((size.height, size.width), np.uint8)
    return cv2.circle(mask, centre, radius, 255, -1)


def texture(size: Size, seed: int = 0) -> np.ndarray:
    """Something that can be followed: grain of several widths, 8 bit."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.standard_normal((size.height, size.width, 3)), (0, 0), s) * s for s in (1.5, 4, 12)]
    return np.clip(128 + 90 * sum(layers), 0, 255).astype(np.uint8)


def sliding(folder: Path, count: int, size: Size = SIZE, step_px: int = 2) -> Path:
    """A clip that pans over a texture."""
    wide = texture(Size(size.width + step_px * count, size.height))
    for index in range(count):
        left = step_px * index
        write_png(folder / f"pan.{index + 1:04d}.png", wide[:, left : left + size.width])
    return folder


def job_file(path: Path, job: Job) -> Path:
    """A job for the worker."""
    masks = [{"name": mask.name, "path": str(mask.path)} for mask in job.masks]
    settings = {"preset": job.settings.preset, "frames": str(job.settings.frames)}
    path.write_text(json.dumps({"clip": job.clip, "masks": masks, "settings": settings}))
    return path


def extension_module(name: str) -> ModuleType:
    """A module of the extension without the extension itself, which needs Blender."""
    package = sys.modules.setdefault("extension_without_blender", ModuleType("extension_without_blender"))
    package.__path__ = [str(Path(__file__).parents[1] / "nvd_blender")]
    return import_module(f"{package.__name__}.{name}")


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def traps(folder: Path, without: set[str] | frozenset[str] = frozenset()) -> Path:
    """A folder with a module in place of each of the standard library's and of every package that is installed."""
    folder.mkdir()
    names = {
        *sys.stdlib_module_names,
        *packages_distributions(),
        "sitecustomize",
        "usercustomize",
        "bpy",
        "nvd_blender",
    }
    for name in names - {"nvd_core"} - without:
        if name.isidentifier():
            code = f"open({str(folder.parent / 'sprung')!r}, 'a').write('{name} ')\nraise ImportError('sprung')\n"
            (folder / f"{name}.py").write_text(code)
    return folder
