"""Damage a result, a mask or a job in one place, as a disk, a program or a stranger may; for ``fuzz.py``."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import OpenEXR

from nvd_core.image.exr import read_exr
from nvd_core.runtime.checkpoints import load_arrays, save_arrays
from nvd_core.spec.conventions import Size

FRAMES: Final = 3
SIZE: Final = Size(64, 48)

VALUES: Final[list[Any]] = [
    None, "", "x", "\0", "\x1b[31m", "\ud800", "\u202e", "../..", "/etc/passwd", "x" * 5000, -1, 0, 1, 2, 1.5,
    10**12, 2**70, 1e300, float("nan"), float("inf"), [], {}, True, [1], {"a": 1}, "preview", "1-3", "alpha", "dis",
]  # fmt: skip
"""What may stand anywhere in JSON."""

NUMBERS: Final = [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e38, 65504, 1e5, -1, 0, 1e-40]


@dataclass
class Case:
    """One damaged input.

    Attributes:
        place: a folder of its own, with ``own``, a copy of the result, where it asks for one.
        dice: that decide.
        said: what was done.
        keeps_plate: whether a frame that is rendered must still be the plate.
    """

    place: Path
    base: Path
    dice: random.Random
    said: str = ""
    keeps_plate: bool = True
    arguments: list[str] = field(default_factory=list)

    @property
    def own(self) -> Path:
        """The result that is damaged."""
        return self.place / "own"

    @property
    def outside(self) -> Path:
        """What nothing may touch."""
        return self.place / "outside"

    def copy(self, name: str = "result") -> Path:
        """A copy of a result."""
        return Path(shutil.copytree(self.base / name, self.own, symlinks=True))

    def read(self) -> None:
        """Have a result read."""
        folder, out = str(self.own), str(self.place / "out")
        some = [["render", folder, "-o", out], ["score", folder, "--json"], ["export", folder, "--stmap"]]
        self.arguments = self.dice.choice([*some, some[0]])


def damaged_bytes(data: bytes, dice: random.Random) -> tuple[bytes, str]:
    """A file's content, changed somewhere."""
    changed = bytearray(data)
    kind = dice.choice(["cut", "flip", "flip header", "zero", "noise", "double", "number", "empty"])
    at = dice.randrange(max(1, len(changed)))
    if kind == "cut":
        del changed[at:]
    elif kind.startswith("flip"):
        reach = max(1, min(len(changed), 400) if "header" in kind else len(changed))
        for _ in range(dice.choice([1, 4, 64])):
            if changed:
                changed[dice.randrange(reach)] ^= 1 << dice.randrange(8)
    elif kind == "zero":
        changed[at : at + 64] = bytes(len(changed[at : at + 64]))
    elif kind == "noise":
        changed[at : at + 128] = dice.randbytes(128)
    elif kind == "double":
        changed[at:at] = changed[at : at + 512]
    elif kind == "number":
        at = dice.choice([at, 4])  # many formats have a size or a version there
        changed[at : at + 4] = struct.pack(dice.choice("<>") + "I", dice.choice([0, 1, 1 << 31, (1 << 32) - 1, 65536]))
    else:
        changed.clear()
    return bytes(changed), f"{kind} at {at}"


def damage_bytes(path: Path, dice: random.Random) -> str:
    """Change a file's content; what was done is returned."""
    data, said = damaged_bytes(path.read_bytes(), dice)
    path.write_bytes(data)
    return said


def damaged_json(text: str, dice: random.Random) -> tuple[str, str]:
    """JSON, changed in one value, one key, or altogether."""
    kind = dice.choice(["value"] * 6 + ["key", "gone", "deep", "wrapped", "bytes"])
    if kind == "bytes":
        data, said = damaged_bytes(text.encode(), dice)
        return data.decode("latin-1"), said
    if kind == "deep":
        opening = dice.choice(["[", '{"a":'])
        return text.replace("{", "{" + '"deep":' + opening * 100_000, 1), kind
    data = json.loads(text)
    if kind == "wrapped":
        return json.dumps([data]), kind
    owner, key, name = dice.choice(list(leaves(data)))
    if kind == "value":
        owner[key] = dice.choice(VALUES)
        return json.dumps(data), f"{name} = {str(owner[key])[:30]!r}"
    value = owner.pop(key)
    if kind == "key" and isinstance(owner, dict):
        owner[str(key) + dice.choice(["", "x", "\0", "\x1b"])] = value
    return json.dumps(data), f"{kind} {name}"


def leaves(data: dict[str, Any] | list[Any], name: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Every value of JSON: its owner, its key, and how it is called."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield data, key, f"{name}.{key}".lstrip(".")
        if isinstance(value, dict | list):
            yield from leaves(value, f"{name}.{key}".lstrip("."))


def damage_exr(path: Path, dice: random.Random) -> str:
    """Change an EXR: its bytes, its channels, its size, its window, or a value."""
    kind = dice.choice(["bytes", "bytes", "value", "value", "value", "lacks", "size", "window", "kind", "renamed"])
    if kind == "bytes":
        return damage_bytes(path, dice)
    channels: dict[str, Any] = read_exr(path)[1]
    name, header = dice.choice(sorted(channels)), {"type": OpenEXR.scanlineimage}
    rows, columns = channels[name].shape
    if kind == "value":
        value = dice.choice(NUMBERS)
        channels[name][dice.randrange(rows), dice.randrange(columns)] = value
        kind = f"{name} = {value}"
    elif kind == "lacks":
        del channels[name]
    elif kind == "size":
        wide, high = dice.choice([(1, 1), (1, 40), (3, 2), (columns * 2, rows)])
        channels = {key: np.resize(plane, (high, wide)) for key, plane in channels.items()}
    elif kind == "window":
        low = np.array(dice.choice([[-5, -5], [3, 0], [10_000, 10_000]]), np.int32)
        header["dataWindow"] = (low, low + np.array([columns - 1, rows - 1], np.int32))
    elif kind == "kind":
        channels[name] = np.abs(channels[name]).clip(0, 9).astype(np.uint32)
    else:
        channels[dice.choice(["", ".", "x" * 300, "R.R", "é"]) or "none"] = channels.pop(name)
    OpenEXR.File(header, channels).write(str(path))
    return f"{kind} of {name}"


def manifest(case: Case) -> None:
    path = case.copy() / "manifest.json"
    text, case.said = damaged_json(path.read_text(), case.dice)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    # With files of other names it is another result.
    case.keeps_plate = not any(word in case.said for word in ("atlas_files", "original_files", "layers", " at "))
    case.read()


def frame(case: Case) -> None:
    path = case.dice.choice(sorted((case.copy() / "frames").iterdir()))
    case.said = f"{path.name} {damage_exr(path, case.dice)}"
    case.read()


def atlas(case: Case) -> None:
    path = case.dice.choice(sorted((case.copy() / "atlas").iterdir()))
    case.said, case.keeps_plate = f"{path.name} {damage_exr(path, case.dice)}", False
    case.read()


def link(case: Case) -> None:
    folder = case.copy(case.dice.choice(["result", "begun"]))
    path = case.dice.choice([one for one in sorted(folder.rglob("*")) if "channels" not in one.parts])
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    target = case.dice.choice(["file", "folder", "nothing", "itself", "/dev/zero", "/dev/full", "pipe"])
    if target == "pipe":
        os.mkfifo(path)
    else:
        places = {"file": case.outside / "mine.exr", "folder": case.outside, "nothing": case.outside / "none"}
        path.symlink_to(places.get(target, path if target == "itself" else Path(target)))
    case.said, case.keeps_plate = f"{path.relative_to(folder)} is {target}", False
    case.read()
    if case.dice.random() < 0.4:
        case.arguments = [*decomposed(case), case.dice.choice(["--resume", "--replace"])]


def checkpoint(case: Case) -> None:
    folder = case.copy("begun")
    path = case.dice.choice(
        [*sorted((folder / "checkpoint").glob("*.safetensors")), folder / "checkpoint" / "job.json"]
    )
    arrays = load_arrays(path) if path.suffix == ".safetensors" else None
    if arrays and case.dice.random() < 0.6:
        name, kind = case.dice.choice(sorted(arrays)), case.dice.choice(["lacks", "shape", "kind", "nan", "huge"])
        if kind == "lacks":
            del arrays[name]
        elif kind == "shape":
            arrays[name] = arrays[name].reshape(-1)[: case.dice.randrange(arrays[name].size + 1)]
        elif kind == "kind":
            arrays[name] = arrays[name].astype(case.dice.choice([np.float64, np.int8, np.uint64, np.float16]))
        else:
            arrays[name] = np.full_like(arrays[name], np.nan if kind == "nan" else 3e38, np.float32)
        save_arrays(path, arrays)
        case.said = f"{path.name} {kind} {name}"
    else:
        case.said = f"{path.name} {damage_bytes(path, case.dice)}"
    case.arguments = [*decomposed(case), "--resume"]


def masks_list(case: Case) -> None:
    folder = case.copy("carried")
    path = folder / "masks" / "masks.json"
    text, case.said = damaged_json(path.read_text(), case.dice)
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    one = case.base / "clip" / "masks" / "sign" / "sign.0002.png"
    case.arguments = [*decomposed(case, f"sign@2={one}"), "--replace"]


def mask(case: Case) -> None:
    suffix = case.dice.choice([".png", ".tif", ".exr", ".jpg"])
    path = case.place / f"mask{suffix}"
    picture = np.zeros((SIZE.height, SIZE.width, case.dice.choice([1, 3, 4])), np.uint8)
    picture[10:40, 20:50] = 255
    if suffix == ".exr":
        plane = picture[..., 0].astype(np.float32) / 255
        OpenEXR.File({"type": OpenEXR.scanlineimage}, dict.fromkeys("RGBA", plane)).write(str(path))
        case.said = f"{suffix} {damage_exr(path, case.dice)}"
    else:
        data, case.said = damaged_bytes(cv2.imencode(suffix, picture)[1].tobytes(), case.dice)
        path.write_bytes(data)
    case.arguments = decomposed(case, f"sign={path}")


def job(case: Case) -> None:
    clip = case.base / "clip"
    data = {
        "clip": str(clip / "frames"),
        "masks": [
            {"name": "sign", "path": str(clip / "masks" / "sign"), "first": None, "frame": None, "locked": False}
        ],
        "settings": {"preset": "preview", "height": None, "fps": 24.0, "window": 200, "flow": "dis", "frames": "1-3"}
        | {"find": "nothing", "memory": "", "solver": "lattice", "carry": "motion", "seed": 0, "device": "cpu"},
        "shown": {"width": 64, "height": 48, "frames": 0, "turns": True, "colour": "sRGB"},
    }
    text, case.said = damaged_json(json.dumps(data), case.dice)
    path = case.place / case.dice.choice(["job.json", "job.toml"])
    if path.suffix == ".toml":
        lines = ['clip = "none"', "[settings]", f"{case.dice.choice(['seed', 'fps', 'height', 'x'])} = "]
        text = "\n".join(lines) + case.dice.choice(
            ["9" * 5000, "[" * 50_000, "1979-05-27", "nan", '"\\u0000"', "0x", "{}"]
        )
        case.said = f"toml {text[-20:]}"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    case.arguments = ["decompose", "--job", str(path), "-o", str(case.place / "out")]


def flow(case: Case) -> None:
    folder = case.place / "flow"
    folder.mkdir()
    field_px = np.zeros((SIZE.height, SIZE.width, 2), np.float32)
    for number in range(1, FRAMES + 1):
        head = struct.pack("<fii", 202021.25, SIZE.width, SIZE.height)
        (folder / f"flow.{number:04d}.flo").write_bytes(head + field_px.tobytes())
    path = folder / "flow.0002.flo"
    data, case.said = damaged_bytes(path.read_bytes(), case.dice)
    path.write_bytes(data)
    case.arguments = [*decomposed(case), f"--flow={folder}"]


def decomposed(case: Case, given: str = "") -> list[str]:
    clip = case.base / "clip"
    given = given or f"sign={clip / 'masks' / 'sign'}"
    own = case.own if case.own.exists() else case.place / "out"
    return ["decompose", str(clip / "frames"), f"--mask={given}", "--preset=preview", "-o", str(own)]


KINDS: Final[dict[str, tuple[Callable[[Case], None], int]]] = {
    "manifest": (manifest, 8), "frame": (frame, 8), "atlas": (atlas, 6), "link": (link, 4), "job": (job, 4),
    "mask": (mask, 1), "checkpoint": (checkpoint, 1), "masks_list": (masks_list, 1), "flow": (flow, 1),
}  # fmt: skip
"""By name what makes a case, and how often: those that solve again take long."""
