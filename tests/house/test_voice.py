"""Prose reads well: no line is wider than a page, and no sentence uses a word that has to be read twice.

This replaces limits on the size of modules and functions. A limit of lines made people save lines:
blank lines between the steps of a function went first. What a reader can hold at once is kept by the
layers, by the linter's rules for complexity, and by review.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
WIDTH = 100

AVOIDED = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\banew\b": "again",
    r"\b(was|were) left\b(?= ?[:;])": "was rejected",
    r"\bso (many|long)\b(?! as\b)": "that many, this long, or the number",
    r"\bas [\w`']+ has it\b": "as in",
    r"(?<!there )\bis no (?!longer\b|more\b)": "is not a",
    r"\bfor it (is|was|has)\b": "because",
    r"\b(None|False|True|[A-Z]\w*Error) where\b": "if",
    r"\bbears?\b": "has",
    r"\bamid\b": "during",
    r"\bthereby\b": "so, or by that",
    r"\bfor ever\b": "forever",
    r"\bin vain\b": "without success",
    r"\b(not|no|nobody|nothing)\b[^.;:]* any more\b": "no longer",
    r"\bso no (longer|more)\b": "no longer",
}
"""Patterns, and what to write instead."""

PAGES = sorted(
    page
    for page in [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md"), *CHECKOUT.glob("examples/*.md")]
    if page.name not in ("commands.md", "CHANGELOG.md")  # made by a program; history as it was written
)
MODULES = sorted((CHECKOUT / "jarvis_trio").rglob("*.py"))

Line = tuple[int, str]


def prose(page: Path) -> Iterator[Line]:
    """The lines of a page outside of fenced blocks and tables."""
    fenced = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if re.match(r" *```", line):
            fenced = not fenced
        elif not fenced and not re.match(r" *[|<]|!\[", line):
            yield number, line


def comments(module: Path) -> Iterator[Line]:
    """The lines of a module that hold nothing but a comment."""
    with tokenize.open(module) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
                yield token.start[0], token.line.rstrip()


def docstrings(module: Path) -> Iterator[Line]:
    """The lines of docstrings, of modules, classes and functions, and below attributes."""
    lines = module.read_text().splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                yield number, lines[number - 1]


def messages(module: Path) -> Iterator[Line]:
    """The other texts in a module: what users read."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def too_wide(lines: Iterator[Line]) -> list[Line]:
    """The lines that could be broken; a long address cannot."""
    return [(number, line) for number, line in lines if len(line) > WIDTH and len(max(line.split(), key=len)) < 60]


def avoided(lines: Iterator[Line]) -> list[tuple[int, str, str]]:
    return [
        (number, found[0], better)
        for number, line in lines
        for pattern, better in AVOIDED.items()
        if (found := re.search(pattern, line, re.IGNORECASE))
    ]


def name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_plain(page: Path) -> None:
    assert too_wide(prose(page)) == []
    assert avoided(prose(page)) == []


# All modules are one test: for each to be two, the test processes would spend more on the tests than on the words.
def test_the_sentences_of_a_module_are_short_lines() -> None:
    found = {name(module): too_wide(comments(module)) + too_wide(docstrings(module)) for module in MODULES}
    assert {module: lines for module, lines in found.items() if lines} == {}


def test_a_module_uses_plain_words() -> None:
    found = {name(module): avoided(comments(module)) + avoided(messages(module)) for module in MODULES}
    assert {module: words for module, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "text", ["mend it", "made anew", "was left: it raises", "so many", "as TZ has it", "is no test"]
)
def test_the_words_to_avoid_are_found(text: str) -> None:
    assert avoided(iter([(1, text)]))


@pytest.mark.parametrize("text", ["what was left behind", "there is no 02:30", "so long as it runs", "is no longer"])
def test_good_words_are_not(text: str) -> None:
    assert avoided(iter([(1, text)])) == []
