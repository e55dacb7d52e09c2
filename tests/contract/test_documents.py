"""The page on jobs says what the code reads."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from annotated_types import DocInfo

from nvd_core.job_files import read_job
from nvd_core.spec.settings import Job, MaskSource, Settings, plain

PAGE: Final = (Path(__file__).parents[2] / "docs" / "job.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """Rows of the table below a heading."""
    _, _, rest = PAGE.partition(f"\n## {heading}\n")
    return re.findall(r"^\| `.*$", rest.partition("\n## ")[0], re.MULTILINE)


def default(one: Any) -> str:
    value = "" if one.default is MISSING else plain(one.default)
    return "" if value in (None, "") else f"`{json.dumps(value)}`"


def test_the_page_on_jobs_has_every_key_with_its_default_and_the_settings_with_their_help() -> None:
    assert [row.split("`")[1] for row in rows("Keys")] == [one.name for one in fields(Job)]
    found = [row.split("|")[1:3] for row in rows("Keys of each of the `masks`")]
    said = [[f" `{one.name}` ", f" {default(one)} ".replace("  ", " ")] for one in fields(MaskSource)]
    assert found == said
    hints = get_type_hints(Settings, include_extras=True)
    helps = {
        name: next(one.documentation for one in hint.__metadata__ if isinstance(one, DocInfo))
        for name, hint in hints.items()
        if hasattr(hint, "__metadata__")
    }
    expected = [
        f"| `{one.name}` | {default(one)} | {helps[one.name]} |".replace("|  |", "| |") for one in fields(Settings)
    ]
    assert rows("Keys of `settings`") == expected, "the rows of docs/job.md:\n" + "\n".join(expected)


def test_the_example_on_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "shot.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
    job = read_job(tmp_path / "shot.toml")
    assert [mask.name for mask in job.masks] == ["car", "sign"]
    assert job.settings == Settings.of(preset="final", frames="1001-1050", seed=7)
    assert job.clip == str(tmp_path / "shot.####.exr")
