"""The report: contact sheet, numbers, and in words what is weak and what would cure it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, Final

from nvd_core.clip.pictures import write_png
from nvd_core.decomposition import Decomposition
from nvd_core.export.sheet import checker_edit, contact_sheet, enough, frame_rows, shown_atlas
from nvd_core.folder import Manifest, atomic, report_path, write_json

_POOR_PSNR: Final = 26.0
_TEXTURE_STOPS: Final = 0.25
_SWIMMING_PX: Final = 0.7
_FOLDED: Final = 0.0005


def write_report(decomposition: Decomposition, costs: dict[str, Any]) -> Generator[float, None, Manifest]:
    """Write ``report/``.

    Args:
        decomposition: with its metrics, its manifest not yet written.
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
    warnings = (*manifest.warnings, *weaknesses(manifest.metrics, len(numbers)))
    manifest = replace(manifest, warnings=warnings)
    write_json(folder / "report.json", {"metrics": manifest.metrics, "costs": costs, "warnings": warnings})
    with atomic(folder / "report.md") as temporary:
        temporary.write_text(words(manifest), encoding="utf-8")
    yield 1.0
    return manifest


def weaknesses(metrics: dict[str, Any], frames: int) -> list[str]:
    """What is weak, one sentence each, with what would cure it."""
    if frames == 1:
        return ["There is a single frame: its atlas is the picture itself."]
    found = []
    if metrics["psnr"] < _POOR_PSNR:
        found.append(
            f"The rebuilt frames are {metrics['psnr']:.1f} dB from the plate: some motion was not followed."
            " A mask for what moves by itself, or a shorter range with --frames, helps."
        )
    for name, layer in metrics["layers"].items():
        if layer["psnr"] is None:
            found.append(f"The layer {name} is not seen in any frame.")
            continue
        if layer["light_detail_stops"] > _TEXTURE_STOPS:
            found.append(
                f"On {name} the lighting carries texture: the atlas alone is {layer['psnr_atlas_only']:.1f} dB."
                " Its surface turns, moves by itself or changes too much for one picture; paint on it may"
                " show bars. A layer of its own for what differs, or a shorter range, helps."
            )
        if (layer["uv_flow_error_px"] or 0) > _SWIMMING_PX:
            found.append(
                f"Paint on {name} may swim by {layer['uv_flow_error_px']:.1f} px from frame to frame."
                " Motion blur or very fast motion does that; a shorter range helps."
            )
        if (layer["folded_share"] or 0) > _FOLDED:
            found.append(f"The map of {name} folds over in places; paint there is doubled.")
    return found


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
