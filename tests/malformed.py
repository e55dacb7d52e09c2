"""Malformed input, made at random but always alike: the same number gives the same file.

``python malformed.py FOLDER RESULT FIRST END`` gives the cases of these numbers to the program, one after the other,
and prints a line of JSON for each. It is a process of its own, as decoders may take theirs down with them.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import shutil
import struct
import sys
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from nvd_core.spec.errors import CancelledError
from nvd_core.spec.protocol import Event

os.environ["SVT_LOG"] = "0"

import OpenEXR
from films import FILMS, Film, write_film
from stills import STILLS

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from fuzz_damages import VALUES, damage_bytes, leaves

from nvd_core.clip.pictures import write_png
from nvd_core.pipeline import decompose
from nvd_core.spec.errors import NvdError, as_told
from nvd_core.spec.protocol import Stage
from nvd_core.spec.settings import Job, MaskSource, Settings

HANGS_S: Final = 60
ADDRESS_SPACE: Final = 12 << 30
"""Bytes, so that no decoder takes the machine down; far above what may be used."""

_FILMS: Final = tuple({(film.codec, film.container): film for film in FILMS}.values())


@dataclass(frozen=True)
class Case:
    """Input for one command.

    Attributes:
        name: what was done to what.
        clip: to decompose; None for a result that is to be rendered.
        mask: of an object in it.
        result: a decomposition.
    """

    name: str
    clip: Path | None = None
    mask: Path | None = None
    result: Path | None = None


def case(number: int, folder: Path, result: Path) -> Case:
    """Write the case of a number below a folder.

    Args:
        number: first the special ones, then ever more damaged files.
        folder: empty.
        result: a whole decomposition, of which damaged copies are made.
    """
    dice = random.Random(number)
    specials = list(SPECIALS)
    if number < len(specials):
        name, path = specials[number], folder / "clip"
        path.mkdir()
        return Case(name, SPECIALS[name](path) or path)
    if number % 4 == 0:
        return _damaged_result(dice, folder, result)
    return _damaged_footage(dice, folder)


def _damaged_footage(dice: random.Random, folder: Path) -> Case:
    as_film = dice.random() < 0.5
    film, still = dice.choice(_FILMS), dice.choice(list(STILLS))
    path = folder / (f"film.{film.container}" if as_film else f"still.{still}")
    write_film(path, film) if as_film else STILLS[still](path)
    said = damage_bytes(path, dice)
    if dice.random() < 0.2:
        suffix = dice.choice([".png", ".jpg", ".tif", ".exr", ".dpx", ".mp4", ".mkv", ".webm"])
        path, said = path.rename(path.with_suffix(suffix)), f"{said}, as {suffix}"
    name = f"{film.name if as_film else still} {said}"
    if dice.random() < 0.7:
        return Case(name, path)
    frames = folder / "frames"
    for index in range(2 if not as_film else 12):
        write_png(frames / f"a.{index}.png", np.full((65, 97, 3), 90, np.uint8))
    return Case(f"mask: {name}", frames, path)


def _damaged_result(dice: random.Random, folder: Path, result: Path) -> Case:
    own = Path(shutil.copytree(result, folder / "result"))
    if dice.random() < 0.3:
        pictures = [path for path in sorted(own.rglob("*.exr")) if "channels" not in path.parts]
        path = dice.choice(pictures)
        return Case(f"{path.relative_to(own)} {damage_bytes(path, dice)}", result=own)
    manifest = own / "manifest.json"
    if dice.random() < 0.3:
        return Case(f"manifest {damage_bytes(manifest, dice)}", result=own)
    data = json.loads(manifest.read_text())
    places = list(leaves(data))
    owner, key, name = dice.choice([one for one in places if not one[2].startswith(("metrics", "settings"))])
    owner[key] = dice.choice(VALUES)
    manifest.write_text(json.dumps(data))
    return Case(f"manifest {name} = {owner[key]!r}", result=own)


def _png(path: Path, width: int, height: int, rows: bytes) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def png_that_says_it_is_huge(at: Path) -> None:
    _png(at / "a.1.png", 60_000, 60_000, zlib.compress(bytes(100)))


def png_that_unpacks_to_a_gigabyte(at: Path) -> None:
    side, packer = 32_000, zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    _png(at / "a.1.png", side, side, rows)


def jpeg_that_says_it_is_huge(at: Path) -> None:
    STILLS["444.jpg"](at / "a.1.jpg")
    data = bytearray((at / "a.1.jpg").read_bytes())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff" * 4
    (at / "a.1.jpg").write_bytes(data)


def tiff_that_says_it_is_huge(at: Path) -> None:
    STILLS["8.tif"](at / "a.1.tif")
    data = bytearray((at / "a.1.tif").read_bytes())
    for tag in (256, 257):
        place = data.index(struct.pack("<HH", tag, 3))
        struct.pack_into("<HHII", data, place, tag, 4, 1, 1_000_000)
    (at / "a.1.tif").write_bytes(data)


def dpx_that_says_it_is_huge(at: Path) -> None:
    STILLS["10a.dpx"](at / "a.1.dpx")
    data = bytearray((at / "a.1.dpx").read_bytes())
    data[772:780] = struct.pack(">II", 60_000, 60_000)
    (at / "a.1.dpx").write_bytes(data)


def _exr(path: Path, channels: dict[str, np.ndarray], **header: object) -> None:
    OpenEXR.File({"type": OpenEXR.scanlineimage} | header, channels).write(str(path))


def exr_of_a_huge_frame(at: Path) -> None:
    window = (np.array([0, 0], np.int32), np.array([200_000, 200_000], np.int32))
    _exr(at / "a.1.exr", dict.fromkeys("RGB", np.ones((64, 64), np.float32)), displayWindow=window)


def exr_far_outside_its_frame(at: Path) -> None:
    window = (np.array([5000, 5000], np.int32), np.array([5063, 5063], np.int32))
    _exr(at / "a.1.exr", dict.fromkeys("RGB", np.ones((64, 64), np.float32)), displayWindow=window)


def exr_of_infinity(at: Path) -> None:
    _exr(at / "a.1.exr", dict.fromkeys("RGB", np.full((64, 64), np.inf, np.float32)))


def exr_of_half_size_colour(at: Path) -> None:
    plane = np.ones((64, 64), np.float32)
    _exr(at / "a.1.exr", {"Y": plane, "RY": plane, "BY": plane})
    data = bytearray((at / "a.1.exr").read_bytes())
    struct.pack_into("<II", data, data.index(b"BY\0") + 11, 2, 2)
    (at / "a.1.exr").write_bytes(data)


def exr_of_many_parts(at: Path) -> None:
    plane = np.ones((64, 64), np.float32)
    parts = [OpenEXR.Part({"name": name}, {f"{name}.V": plane}) for name in "abc"]
    OpenEXR.File([*parts, OpenEXR.Part({"name": "d"}, dict.fromkeys("RGB", plane))]).write(str(at / "a.1.exr"))


def exr_that_is_deep(at: Path) -> None:
    samples = np.empty((64, 64), object)
    for place in np.ndindex(64, 64):
        samples[place] = np.ones(2, np.float32)
    _exr(
        at / "a.1.exr", dict.fromkeys("RGBAZ", samples), type=OpenEXR.deepscanline, compression=OpenEXR.ZIPS_COMPRESSION
    )


def film_of_huge_frames(at: Path) -> Path:
    path = write_film(at / "film.mp4", Film(codec="mpeg4"))
    data = bytearray(path.read_bytes())
    place = data.index(b"mp4v") + 28  # of the sample's description
    struct.pack_into(">HH", data, place, 65535, 65535)
    path.write_bytes(data)
    return path


def folder_named_like_a_picture(at: Path) -> None:
    (at / "a.1.png").mkdir()


def pipe_named_like_a_picture(at: Path) -> None:
    os.mkfifo(at / "a.1.png")


def pipe_named_like_an_exr(at: Path) -> None:
    os.mkfifo(at / "a.1.exr")


def pipe_named_like_a_film(at: Path) -> Path:
    os.mkfifo(at / "a.mp4")
    return at / "a.mp4"


def link_to_itself(at: Path) -> Path:
    (at / "a.mp4").symlink_to(at / "a.mp4")
    return at / "a.mp4"


def picture_that_links_to_itself(at: Path) -> None:
    (at / "a.1.png").symlink_to(at / "a.1.png")


def link_to_nothing(at: Path) -> None:
    (at / "a.1.exr").symlink_to(at / "none")


def device(at: Path) -> Path:
    (at / "a.mp4").symlink_to("/dev/zero")
    return at / "a.mp4"


def device_named_like_a_picture(at: Path) -> None:
    (at / "a.1.png").symlink_to("/dev/zero")


def playlist_of_other_files(at: Path) -> Path:
    write_film(at / "film.mp4", Film(codec="mpeg4"))
    (at / "list.mp4").write_text("ffconcat version 1.0\nfile film.mp4\n")
    return at / "list.mp4"


def text_that_ffmpeg_can_play(at: Path) -> Path:
    (at / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    return at / "list.mp4"


def numbers_of_a_camera_clock(at: Path) -> None:
    for number in (20240101123456, 20250101123456):
        write_png(at / f"IMG_{number}.png", np.zeros((64, 64, 3), np.uint8))


def numbers_below_zero(at: Path) -> None:
    for number in (-2, -1, 0, 1):
        write_png(at / f"shot.{number:05d}.png", np.zeros((64, 64, 3), np.uint8))


def numbers_twice(at: Path) -> None:
    for name in ("a.1.png", "a.01.png"):
        write_png(at / name, np.zeros((64, 64, 3), np.uint8))


def number_of_many_digits(at: Path) -> None:
    write_png(at / f"a.{'9' * 200}.png", np.zeros((64, 64, 3), np.uint8))


def name_that_is_no_text(at: Path) -> Path:
    path = at / os.fsdecode(b"\xff\xfe.png")
    write_png(path, np.zeros((64, 64, 3), np.uint8))
    return path


SPECIALS: Final[dict[str, Callable[[Path], Path | None]]] = {
    make.__name__: make
    for make in (
        png_that_says_it_is_huge, png_that_unpacks_to_a_gigabyte, jpeg_that_says_it_is_huge, tiff_that_says_it_is_huge,
        dpx_that_says_it_is_huge, exr_of_a_huge_frame, exr_far_outside_its_frame, exr_of_infinity,
        exr_of_half_size_colour, exr_of_many_parts, exr_that_is_deep, film_of_huge_frames,
        folder_named_like_a_picture, pipe_named_like_a_picture, pipe_named_like_an_exr, pipe_named_like_a_film,
        link_to_itself, picture_that_links_to_itself, link_to_nothing, device, device_named_like_a_picture,
        playlist_of_other_files, text_that_ffmpeg_can_play, numbers_of_a_camera_clock, numbers_below_zero,
        numbers_twice, number_of_many_digits, name_that_is_no_text,
    )
} | {
    f"empty_{suffix}": lambda at, suffix=suffix: (at / f"a.1.{suffix}").write_bytes(b"") or at / f"a.1.{suffix}"
    for suffix in ("png", "jpg", "tif", "exr", "dpx", "mp4", "mkv")
}  # fmt: skip


def attempt(one: Case, out: Path) -> int:
    """Give a case to the program; a decomposition is given up once everything was read."""
    if one.result is not None:
        from nvd_core.faces.cli import run

        return run(["render", str(one.result), "-o", str(out)])
    masks = () if one.mask is None else (MaskSource.of(name="thing", path=str(one.mask)),)

    def hear(event: Event) -> None:
        if event == Stage(name="solve"):
            raise CancelledError("Cancelled")

    try:
        decompose(Job(clip=str(one.clip), masks=masks, settings=Settings(preset="preview")), out, hear)
    except CancelledError:
        return 0
    except (NvdError, OSError, MemoryError) as error:
        told = as_told(error)
        sys.stderr.write(f"nvd: {told}\n")
        return told.exit_code
    return 0


def _memory_bytes(which: str) -> int:
    """Of this process, now or at most since it was last asked; 0 where the system does not count that."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return 1024 * int(status.split(f"{which}:")[1].split()[0])


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main(folder: Path, result: Path, first: int, end: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    faulthandler.enable()
    for number in range(first, end):
        place = folder / str(number)
        place.mkdir()
        one = case(number, place, result)
        _say(number=number, name=one.name)
        before = _memory_bytes("VmRSS")
        faulthandler.dump_traceback_later(HANGS_S, exit=True)
        sys.stderr.flush()
        try:
            code: int | str = attempt(one, place / "out")
        except BaseException:  # noqa: BLE001 (this is what is looked for)
            code = traceback.format_exc()
        faulthandler.cancel_dump_traceback_later()
        left = sorted(path.name for path in (place / "out").rglob("*")) if one.result is None else []
        _say(number=number, code=code, took=_memory_bytes("VmHWM") - before, left=left)
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
