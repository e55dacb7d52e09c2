"""``nvd`` and ``python -m nvd_core``."""

from __future__ import annotations

import sys
from pathlib import Path

from nvd_core import __version__
from nvd_core.stopping import stopping_on_signals


def main() -> int:
    """Run the command line; the exit code is returned."""
    with stopping_on_signals():
        return _run(sys.argv[1:])


def _run(arguments: list[str]) -> int:
    """``doctor`` and ``worker`` begin with the standard library alone, so that they can tell what is missing."""
    if arguments == ["--version"]:
        print(__version__)  # noqa: T201
        return 0
    if arguments in (["doctor"], ["doctor", "--json"]):
        from nvd_core.doctor import report  # noqa: PLC0415

        return report(as_json="--json" in arguments)
    places = [argument for argument in arguments[1:] if argument != "--resume"]
    if arguments[:1] == ["worker"] and len(places) == 2:
        from nvd_core.worker import run_worker  # noqa: PLC0415

        return run_worker(*map(Path, places), resume="--resume" in arguments)
    try:
        from nvd_core.cli import run  # noqa: PLC0415

        return run(arguments)
    except ImportError as error:
        print(f"nvd: A package is missing: {error}. Run nvd doctor.", file=sys.stderr)  # noqa: T201
        return 4


if __name__ == "__main__":
    sys.exit(main())
