"""The program that runs in the application's own interpreter: one question, one answer, the end.

Run as `PYTHON bootstrap.py REQUEST`, with the application's folder as the current one. The
request is a JSON file; the answer is written to the file that it names.

This file is for Python 3.9 and newer, and imports the standard library alone: nothing of
jarvis_trio can be imported in there, and nothing of it may stand in the application's way.
"""

from __future__ import annotations

import ast
import atexit
import fcntl
import importlib
import importlib.util
import json
import os
import sys
import traceback
from contextlib import suppress
from typing import Any, Callable  # noqa: UP035  # this module runs on Python 3.9 too

MOST_FILES = 1000
"""How many of the application's files are searched for imports at most."""


def main() -> None:
    """Answer the request that the first argument names, and end the process."""
    hold(os.path.join(os.path.dirname(sys.argv[1]), "lock"))
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # Python had put our own folder there
    sys.path.insert(0, request["folder"])

    try:
        answer = {"run": run, "look": look}[request["ask"]](request)
    except BaseException as error:  # noqa: BLE001  # another program's code: also sys.exit is its answer
        traceback.print_exc()
        answer = {"error": describe(error)}

    with open(request["answer"] + ".new", "w", encoding="ascii") as file:
        json.dump(answer, file, default=str)
    os.replace(request["answer"] + ".new", request["answer"])
    end()


def hold(path: str) -> None:
    """Show until the end of the process that the folder is in use, so that nobody deletes it.

    A folder that cannot be locked has no such file, and is never deleted (`folders`).
    """
    with suppress(OSError):
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_SH)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Call the application's handler once, with its store and its other parts."""
    function = resolve(request["handlers"])
    arguments = {name: make(reference) for name, reference in request["parts"].items()}
    if request["store"]:
        arguments["memory_store"] = resolve(request["store"])(database(request))
    return {"answer": function(request["type"], request["config"], **arguments)}


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Say what would keep runs from working, without running anything."""
    problems = []
    references = [request["handlers"], request["store"], *request["parts"].values()]
    for reference in filter(None, references):
        try:
            check(reference)
        except BaseException as error:  # noqa: BLE001  # as in main
            problems.append(f"cannot import {reference}: {describe(error)}")
    if request["store"]:
        try:
            database(request)
        except BaseException as error:  # noqa: BLE001  # as in main
            problems.append(describe(error))
    python = ".".join(map(str, sys.version_info[:3]))
    missing = missing_packages(request["folder"], request["handlers"].partition(":")[0])
    return {"python": python, "problems": problems, "missing": missing}


def check(reference: str) -> None:
    """Raise what keeps a reference, or the constant that it is called with, from being found."""
    resolve(reference)
    for constant in reference.split(":")[2:]:
        getattr(importlib.import_module("config"), constant)


def resolve(reference: str) -> Callable[..., Any]:
    """The callable that `MODULE:ATTR` names."""
    module, attribute = reference.split(":")[:2]
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    if not callable(found):
        raise TypeError(f"{reference} is not callable")
    return found


def make(reference: str) -> Any:
    """What `MODULE:ATTR` gives, called with the constant of `MODULE:ATTR:CONSTANT`."""
    constants = reference.split(":")[2:]
    return resolve(reference)(*(getattr(importlib.import_module("config"), name) for name in constants))


def database(request: dict[str, Any]) -> Any:
    """`config.MEMORY_DB_PATH`. Raises ValueError if that is another file than the daemon's."""
    path = importlib.import_module("config").MEMORY_DB_PATH
    if os.path.realpath(os.fspath(path)) != os.path.realpath(request["database"]):
        raise ValueError(f"its config.MEMORY_DB_PATH is {path}, and the daemon's database is {request['database']}")
    return path


def missing_packages(folder: str, module: str) -> list[str]:
    """The packages that the application's files import, directly or not, and that are missing.

    The files are read, not run: handlers import much only when they are called.
    """
    missing: set[str] = set()
    seen: set[str] = set()
    waiting = [module]
    while waiting and len(seen) < MOST_FILES:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = source_of(folder, name)
        if path is not None:
            waiting.extend(imports_of(path, name))
        elif not is_there(name.partition(".")[0], folder):
            missing.add(name.partition(".")[0])
    return sorted(missing)


def source_of(folder: str, module: str) -> str | None:
    """The file of a module of the application, or None."""
    base = os.path.join(folder, *module.split("."))
    return next((path for path in (base + ".py", os.path.join(base, "__init__.py")) if os.path.isfile(path)), None)


def imports_of(path: str, module: str) -> list[str]:
    """The modules that a file imports; not those whose absence it expects."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return []
    package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
    return [name for node in wanted_nodes(tree) for name in names_of(node, package)]


def wanted_nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those in which an import may fail (`optional_parts`)."""
    found: list[ast.AST] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        skipped = set(map(id, optional_parts(node)))
        waiting.extend(child for child in ast.iter_child_nodes(node) if id(child) not in skipped)
    return found


def optional_parts(node: ast.AST) -> list[ast.AST]:
    """The parts of a node whose imports may fail.

    They are what only a type checker reads; and in a `try` that expects a missing module, both what
    is tried and what takes its place.
    """
    if isinstance(node, ast.If) and "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", "")):
        return [*node.body]
    if isinstance(node, ast.Try):
        instead = [handler for handler in node.handlers if catches_import_error(handler)]
        return [*node.body, *instead] if instead else []
    return []


def catches_import_error(handler: ast.ExceptHandler) -> bool:
    """Whether an `except` clause takes a missing module for a normal thing."""
    if handler.type is None:
        return True
    expected = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
    return any(getattr(node, "id", "") in expected for node in ast.walk(handler.type))


def names_of(node: ast.AST, package: str) -> list[str]:
    """The modules that one `import` or `from` names; a name that follows `from` may be one, too."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*above, *([node.module] if node.module else [])])
    return [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []


def is_there(name: str, folder: str) -> bool:
    """Whether a top-level name can be imported."""
    if name in sys.modules or os.path.isdir(os.path.join(folder, name)):
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def describe(error: BaseException) -> str:
    """An exception in one line, whatever its own text does."""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001  # its __str__ is another program's code, too
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def end() -> None:
    """End without waiting for threads: the application's own daemon would not wait either."""
    with suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
