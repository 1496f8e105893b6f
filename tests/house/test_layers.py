"""The shape of the package: imports point downwards, and trio, the clock and `config` are where they belong.

The layers are read from docs/architecture.md: a module may import those in the rows
below its own, and the others of its own folder. Whoever adds a module adds it there.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import accumulate
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "jarvis_trio"

ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"
DIAGRAM = ARCHITECTURE.read_text("utf-8").partition("```layers\n")[2].partition("```")[0]
LAYERS = tuple(tuple(row.split(", ")) for row in reversed(DIAGRAM.splitlines()))
HEAVY = {"trio", "rich", "humanize", "apprise", "asyncio", "smtplib", "psutil", "http", "urllib.request", "email"}
WALL_CLOCK = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime"},
}

FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}
PURE = (
    "errors",
    "models",
    "policy",
    *("moving." + name for name in ("crontab", "entry", "plist")),
    *(name for name in MODULES if name.startswith(("schedules.", "notation."))),
)


@cache
def code_of(name: str) -> ast.Module:
    """A module's code, which is read when a test asks for it: each test process collects them all."""
    return ast.parse(MODULES[name].read_text("utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that the code imports, at its start or later."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                taken = f"{node.module}.{alias.name}"
                yield taken if taken.removeprefix("jarvis_trio.") in MODULES else node.module or ""


@cache
def imported_by(name: str) -> frozenset[str]:
    """Every module that a module imports."""
    return frozenset(imports(code_of(name)))


def ours(name: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = {module.removeprefix("jarvis_trio.") for module in imported_by(name)}
    return {module for module in found if module in MODULES} - {name}


def foreign(name: str) -> set[str]:
    """The other packages that a module imports, by their first name and in full."""
    found = imported_by(name)
    return {*found} | {module.partition(".")[0] for module in found}


def part(module: str) -> str:
    """The row's entry: a module, or the folder that it is in."""
    return module.partition(".")[0]


def test_each_module_has_its_layer() -> None:
    listed = [name for layer in LAYERS for name in layer]
    assert sorted(listed) == sorted({part(name) for name in MODULES} - {"__init__"})


# All modules are one test here: each as a test of its own costs the test processes more than reading it does.
def test_imports_point_downwards() -> None:
    below = dict(zip((name for layer in LAYERS for name in layer), _rows_below(), strict=True))
    upwards = {
        module: {part(imported) for imported in ours(module)} - below[part(module)] - {part(module)}
        for module in MODULES
        if module != "__init__"  # the public names, each imported when it is used
    }
    assert {module: rows for module, rows in upwards.items() if rows} == {}


def _rows_below() -> Iterator[set[str]]:
    sums = accumulate(LAYERS, lambda below, layer: below | set(layer), initial=set[str]())
    for layer, below in zip(LAYERS, sums, strict=False):
        yield from (below for _ in layer)


def test_no_imports_go_round_in_circles() -> None:
    TopologicalSorter({name: ours(name) for name in MODULES}).prepare()


@pytest.mark.law(7)
def test_trio_lives_in_one_place() -> None:
    users = {name for name in MODULES if "trio" in foreign(name)}
    assert {part(user) for user in users} == {"daemon", "testing"}
    assert users & {"daemon.pace", "daemon.engines"} == set()


@pytest.mark.law(6)
def test_the_wall_clock_is_read_in_one_place() -> None:
    found = {module: list(reads_of_the_wall_clock(module)) for module in MODULES if module != "clock"}
    assert {module: reads for module, reads in found.items() if reads} == {}


def reads_of_the_wall_clock(module: str) -> Iterator[str]:
    """Where the module's code asks what time it is."""
    for node in ast.walk(code_of(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in WALL_CLOCK.get(owner, ()):
                yield f"{owner}.{node.attr} in line {node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"from time import {alias.name}" for alias in node.names if alias.name in WALL_CLOCK["time"])
        bare = isinstance(node, ast.Call) and not (node.args or node.keywords)
        if bare and isinstance(node.func, ast.Attribute) and node.func.attr == "astimezone":
            yield f"astimezone() in line {node.lineno}"


def test_only_a_process_in_the_foreground_reads_config() -> None:
    assert {part(name) for name in MODULES if "config" in foreign(name)} == set()
    named = {name for name in MODULES if _names_config(code_of(name))}
    named.remove("handlers.application.bootstrap")  # which runs in the application's own process: that one's is meant
    assert {part(name) for name in named} == {"foreground"}


def _names_config(tree: ast.AST) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return any(
        call.func.attr == "import_module" and [getattr(argument, "value", None) for argument in call.args] == ["config"]  # type: ignore[attr-defined]  # as just selected
        for call in calls
    )


@pytest.mark.parametrize("module", PURE)
def test_what_is_pure_touches_neither_files_nor_processes_nor_threads(module: str) -> None:
    assert foreign(module) & {"os", "io", "pathlib", "subprocess", "socket", "sqlite3", "signal", "time"} == set()


@pytest.mark.parametrize(
    "module", ["store", "engine.engine", "engine.assembly", "cli", "handlers", "delivery", "settings", "process.lock"]
)
def test_what_starts_imports_nothing_heavy(module: str) -> None:
    script = f"import sys; before = set(sys.modules); import jarvis_trio.{module}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=180
    )
    assert f"jarvis_trio.{module}" in done.stdout.split()
    assert set(done.stdout.split()) & HEAVY == set()


def test_the_daemon_needs_trio_and_nothing_else_that_is_heavy() -> None:
    script = "import sys; before = set(sys.modules); import jarvis_trio.daemon.loop; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=180
    )
    assert set(done.stdout.split()) & HEAVY == {"trio"}
