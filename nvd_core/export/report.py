"""The report: contact sheet, numbers, and in words what is weak and what would cure it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from nvd_core.clip.pictures import write_png
from nvd_core.decomposition import Decomposition
from nvd_core.diagnosis.finding import Diagnosis
from nvd_core.export.sheet import checker_edit, contact_sheet, enough, frame_rows, shown_atlas
from nvd_core.folder import Manifest, atomic, report_path, write_json


def write_report(
    decomposition: Decomposition, diagnoses: Sequence[Diagnosis], costs: dict[str, Any]
) -> Generator[float, None, Manifest]:
    """Write ``report/``.

    Args:
        decomposition: with its metrics, its manifest not yet written.
        diagnoses: what is wrong.
        costs: what each stage cost.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        The manifest with the report's warnings.
    """
    manifest, folder = decomposition.manifest, report_path(decomposition.folder)
    originals, edits, atlases = {}, {}, {}
    for name in manifest.layers:
        original, covered = decomposition.original(name), decomposition.covered(name)
        atlases[name] = shown_atlas(original, covered)
        originals[name], covered = enough(original), enough(covered)
        edits[name] = checker_edit(originals[name], covered, "PAINT")
        yield 0.2 * len(edits) / len(manifest.layers)
    numbers = manifest.source.numbers
    chosen = sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
    columns = []
    for rows in decomposition.over_frames(lambda frame: frame_rows(frame, originals, edits), chosen):
        columns.append((str(chosen[len(columns)]), rows))
        yield 0.2 + 0.6 * len(columns) / len(chosen)
    write_png(folder / "contact_sheet.png", contact_sheet(columns, atlases))
    for name, atlas in atlases.items():
        write_png(folder / f"atlas_{name}.png", atlas)
    manifest = replace(manifest, warnings=(*manifest.warnings, *map(str, diagnoses)))
    facts = {"diagnoses": [one.facts() for one in diagnoses], "warnings": manifest.warnings}
    write_json(folder / "report.json", {"metrics": manifest.metrics, "costs": costs, **facts})
    with atomic(folder / "report.md") as temporary:
        temporary.write_text(words(manifest), encoding="utf-8")
    yield 1.0
    return manifest


def words(manifest: Manifest) -> str:
    """The report as Markdown."""
    metrics = manifest.metrics
    lines = [
        f"# {manifest.name}",
        "",
        f"Frames {manifest.source.first}-{manifest.source.last}, {manifest.source.width}x{manifest.source.height}."
        f" Rebuilt: {metrics['psnr']:.1f} dB; atlases alone, without lighting: {metrics['psnr_atlas_only']:.1f} dB"
        f" (at {metrics['size']}).",
        "",
        "| layer | PSNR | atlas alone | paint may swim by |",
        "|---|---|---|---|",
    ]
    for name, layer in metrics["layers"].items():
        cells = [
            _number(layer[key], unit)
            for key, unit in (("psnr", "dB"), ("psnr_atlas_only", "dB"), ("uv_flow_error_px", "px"))
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "## What is weak", ""]
    lines += [f"- {warning}" for warning in manifest.warnings] or [
        "Nothing that the numbers show. Look at `contact_sheet.png`."
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f} {unit}"
