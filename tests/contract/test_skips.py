"""No test is left out in silence: whatever skips says why, and pytest prints it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
_SKIPPING = {"skip", "skipif", "importorskip"}


def skips(code: str) -> Iterator[tuple[int, bool]]:
    """The line of everything that skips, and whether it says why."""
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in _SKIPPING:
            continue
        reasons = [one.value for one in node.keywords if one.arg == "reason"]
        if ast.unparse(node.func) in {"pytest.skip", "pytest.importorskip"}:
            reasons += node.args[:1]
        yield node.lineno, any(not isinstance(one, ast.Constant) or one.value for one in reasons)


def test_whatever_skips_says_why() -> None:
    silent = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, is_told in skips(path.read_text(encoding="utf-8"))
        if not is_told
    ]
    assert silent == []


def test_a_silent_skip_would_be_found() -> None:
    silent = "@pytest.mark.skip()\ndef test_a(): pytest.skip('')\n@pytest.mark.skipif(True)\ndef test_b(): pass"
    assert [is_told for _, is_told in skips(silent)] == [False, False, False]
    assert [is_told for _, is_told in skips("pytest.mark.skipif(x, reason='no GPU'); pytest.skip(f'{y}')")] == [
        True
    ] * 2


def test_pytest_prints_reasons() -> None:
    options = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"][
        "ini_options"
    ]
    assert "-ra" in options["addopts"].split()
