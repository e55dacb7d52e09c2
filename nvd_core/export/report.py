"""Write the report: contact sheet, metrics, and diagnoses with their cures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nvd_core.clip.pictures import write_png
from nvd_core.export.sheet import checker_edit, contact_sheet, enough, frame_rows, shown_atlas
from nvd_core.quality.diagnosis.finding import Diagnosis
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.progress import Progress
from nvd_core.spec.folder import atomic, report_path, write_json
from nvd_core.spec.manifest import Manifest


def write_report(
    decomposition: Decomposition, diagnoses: Sequence[Diagnosis], costs: dict[str, Any], progress: Progress
) -> Manifest:
    """Write the pictures and texts of ``report/``.

    Args:
        decomposition: with metrics, its manifest not yet written.
        diagnoses: weaknesses of the clip.
        costs: seconds and memory of each stage.
        progress: of writing.

    Returns:
        The manifest, with the diagnoses as warnings.
    """
    manifest = decomposition.manifest
    originals, edits, atlases = {}, {}, {}
    drawing, compositing, _ = progress.split(2, 6, 2)
    for name in drawing.track(manifest.names, len(manifest.names)):
        original, covered = decomposition.original(name), decomposition.covered(name)
        atlases[name] = shown_atlas(original, covered)
        originals[name], covered = enough(original), enough(covered)
        edits[name] = checker_edit(originals[name], covered, "PAINT")
    numbers = manifest.source.numbers
    chosen = sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
    drawn = decomposition.over_frames(lambda frame: frame_rows(frame, originals, edits), chosen)
    columns = list(zip(map(str, chosen), compositing.track(drawn, len(chosen)), strict=True))
    pictures = (contact_sheet(columns, atlases), *atlases.values())
    for path, picture in zip(pictures_of(decomposition.folder, manifest), pictures, strict=True):
        write_png(path, picture)
    manifest = replace(manifest, warnings=(*manifest.warnings, *map(str, diagnoses)))
    diagnosed = [one.facts() for one in diagnoses]
    write_words(decomposition.folder, manifest, {"metrics": manifest.metrics, "costs": costs, "diagnoses": diagnosed})
    progress(1.0)
    return manifest


def pictures_of(folder: Path, manifest: Manifest) -> list[Path]:
    """Paths of the report's pictures: the contact sheet, and every layer's atlas."""
    place = report_path(folder)
    return [place / "contact_sheet.png", *(place / f"atlas_{layer}.png" for layer in manifest.names)]


def facts_path(folder: Path) -> Path:
    """Path of the report's numbers."""
    return report_path(folder) / "report.json"


def write_words(folder: Path, manifest: Manifest, facts: dict[str, Any]) -> None:
    """Write the report's texts: ``report.json`` for programs, ``report.md`` for people."""
    write_json(facts_path(folder), facts | {"warnings": manifest.warnings})
    with atomic(report_path(folder) / "report.md") as temporary:
        temporary.write_text(words(manifest), encoding="utf-8")


def words(manifest: Manifest) -> str:
    """Format the report as Markdown."""
    metrics = manifest.metrics
    lines = [
        f"# {manifest.name}",
        "",
        f"Frames {manifest.source.first}-{manifest.source.last}, {manifest.source.width}x{manifest.source.height}."
        f" Rebuilt: {metrics['psnr']:.1f} dB; atlases alone, without lighting: {metrics['psnr_atlas_only']:.1f} dB"
        f" (at {metrics['size']}). At the plate's own size: {metrics['psnr_plate']:.1f} dB.",
        "",
        "| layer | PSNR | at the plate's size | atlas alone | paint may swim by |",
        "|---|---|---|---|---|",
    ]
    for name, layer in metrics["layers"].items():
        cells = [
            _number(layer[key], unit)
            for key, unit in (
                ("psnr", "dB"),
                ("psnr_plate", "dB"),
                ("psnr_atlas_only", "dB"),
                ("uv_flow_error_px", "px"),
            )
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "## What is weak", ""]
    lines += [f"- {warning}" for warning in manifest.warnings] or [
        "Nothing that the numbers show. Look at `contact_sheet.png`."
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f} {unit}"
