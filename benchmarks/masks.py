"""How well masks from little agree with true ones, on clips whose true masks are known.

    python benchmarks/masks.py CLIPS [--of CLIP ...] [--frame middle|first|largest|N] [--found] [--psnr [PRESET]]

CLIPS holds a folder for each clip with ``frames/`` and ``masks/<object>/``. The mask of one frame is carried to all of
them (or, with ``--found``, nothing is given); intersection over union with the true masks is averaged over the other
frames. ``--psnr`` decomposes with those and with the true masks, and prints by how many dB the rebuilt frames differ.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from nvd_core.clip import Clip, open_clip
from nvd_core.clip.pictures import read_picture
from nvd_core.clip.sequence import list_pictures
from nvd_core.masks.files import coverage
from nvd_core.pipeline import decompose
from nvd_core.quality.metrics import mask_iou
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.spec.folder import masks_path
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.settings import Job, MaskSource, Preset, Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--of", nargs="*", default=[])
    parser.add_argument("--frame", default="middle")
    parser.add_argument("--found", action="store_true")
    parser.add_argument("--psnr", nargs="?", const="preview", choices=("preview", "standard", "final"))
    parser.add_argument("--sheets", type=Path, help="A folder for pictures of what was found.")
    options = parser.parse_args()
    for folder in sorted(one for one in options.clips.iterdir() if (one / "masks").is_dir()):
        if not options.of or folder.name in options.of:
            for name in sorted(one.name for one in (folder / "masks").iterdir() if one.is_dir()):
                print(folder.name, name, _measured(folder, name, options), flush=True)


def _measured(folder: Path, name: str, options: argparse.Namespace) -> str:
    clip = open_clip(folder / "frames")
    pictures = list_pictures(folder / "masks" / name)
    true = _read(pictures)
    numbers = clip.info.numbers
    frame = _frame(options.frame, numbers, true)
    masks = () if options.found else (MaskSource.of(name=name, path=str(pictures[frame]), frame=frame),)
    with tempfile.TemporaryDirectory() as place:
        wanted = Wanted(clip, numbers, masks, masks_path(Path(place)), Path(place), 2)
        sources = rotoscope(wanted)
        if not sources:
            return "nothing found"
        scores = {}
        for source in sources:
            made = _read(list_pictures(Path(str(source.path))))
            others = [number for number in numbers if options.found or number != frame]
            scores[source.name] = [mask_iou(made[number], true[number]) for number in others]
            if options.sheets:
                _sheet(options.sheets / f"{folder.name}_{source.name}.png", clip, made)
        best = max(scores, key=lambda one: float(np.mean(scores[one])))
        told = f"IoU {np.mean(scores[best]):.3f} (worst frame {min(scores[best]):.2f})"
        told += f", {len(scores)} found, the best is {best}" if options.found else f", from frame {frame}"
        if options.psnr:
            ours, theirs = (
                _psnr(folder, given, Path(place) / kind, options.psnr)
                for kind, given in (
                    ("ours", sources),
                    ("true", (MaskSource.of(name=name, path=str(folder / "masks" / name)),)),
                )
            )
            told += f", {ours - theirs:+.2f} dB against true masks ({ours:.2f}, {theirs:.2f})"
    return told


def _read(pictures: dict[int, Path]) -> dict[int, np.ndarray]:
    return {number: coverage(read_picture(path)) for number, path in pictures.items()}


def _frame(wanted: str, numbers: range, true: dict[int, np.ndarray]) -> int:
    if wanted == "largest":
        return max(true, key=lambda number: float(true[number].sum()))
    named = {"first": numbers[0], "middle": numbers[len(numbers) // 2]}
    return named[wanted] if wanted in named else int(wanted)


def _psnr(folder: Path, masks: tuple[MaskSource, ...], out: Path, preset: Preset) -> float:
    job = Job(clip=str(folder / "frames"), masks=masks, settings=Settings(preset=preset))
    decompose(job, out)
    return read_manifest(out).metrics["psnr"]


def _sheet(path: Path, clip: Clip, made: dict[int, np.ndarray]) -> None:
    chosen = list(made)[:: max(1, len(made) // 9)][:9]
    plates = zip(chosen, clip.frames(chosen), strict=True)
    shown = [np.where(made[number][..., None] > 0.5, plate, plate // 4) for number, plate in plates]
    rows = [np.hstack(shown[start : start + 3]) for start in range(0, len(shown) - 2, 3)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack(rows)[::2, ::2, ::-1])


if __name__ == "__main__":
    main()
