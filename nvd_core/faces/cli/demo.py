"""``nvd demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from nvd_core.faces.cli.talk import AsJson, bar, json_text
from nvd_core.faces.demo import run_demo


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Make a little clip, decompose it, paint both atlases and re-composite: pictures to look at."""

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER", help="Where everything goes.")] = Path("demo")
    json: AsJson = False

    def run(self) -> str:
        """Run the whole path once."""
        with bar() as show:
            pictures = [str(path.absolute()) for path in run_demo(self.out, show)]
        return json_text({"pictures": pictures}) if self.json else "\n".join(pictures) + "\n"
