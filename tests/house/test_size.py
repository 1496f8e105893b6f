"""What is read at once stays small enough to be read at once: the modules of the package, and their functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "jarvis_trio"
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 40
"""Of its body: a signature and a docstring may be as long as the contract needs."""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short(module: str) -> None:
    assert len((PACKAGE / module).read_text("utf-8").splitlines()) <= LINES_OF_A_MODULE


@pytest.mark.parametrize("module", MODULES)
def test_its_functions_are_short(module: str) -> None:
    functions = [
        node
        for node in ast.walk(ast.parse((PACKAGE / module).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {function.name: lines for function in functions if (lines := _lines(function)) > LINES_OF_A_FUNCTION}
    assert long == {}


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[ast.get_docstring(function) is not None :]
    return 1 + (body[-1].end_lineno or 0) - body[0].lineno if body else 0
