"""What Blender's panels say instead of the command line's words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support import extension_module

import nvd_core
from nvd_core.spec.settings import Settings

wording = extension_module("source.wording")
CORE = Path(nvd_core.__file__).parent
FOR_A_TERMINAL = {
    *("__main__.py", "faces/doctor.py", "faces/demo.py", "spec/settings.py"),  # the command line itself
    *(f"faces/cli/{path.name}" for path in (CORE / "faces" / "cli").iterdir()),
    "job_files.py",  # reads its flags
    "hashing_nvd/from_random.py",  # the published networks, which the panel does not offer
}


def texts(tree: ast.AST) -> list[str]:
    """All texts of a module but its docstrings; numbers stand for what is put into them."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | parts:
            found.append(node.value)
    return found


def advice() -> list[str]:
    """What of the engine names a flag of the command line and may be told in Blender."""
    modules = (path for path in CORE.rglob("*.py") if path.relative_to(CORE).as_posix() not in FOR_A_TERMINAL)
    said = [text for path in modules for text in texts(ast.parse(path.read_text(encoding="utf-8")))]
    return [text for text in said if " --" in f" {text}" and "{" not in text]


@pytest.mark.parametrize("text", advice())
def test_no_advice_in_blender_names_a_flag(text: str) -> None:
    assert "--" not in wording.in_blender(text)


def test_every_choice_that_is_offered_is_one() -> None:
    for name, words in wording.SETTINGS.items():
        assert hasattr(Settings(), name)
        assert words.text
        for value in words.choices:
            Settings.of(**{name: value})
