"""An existing application that the daemon runs unchanged: `--app-dir`, `--engine` and `--store`."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from jarvis_trio.errors import JarvisError

_OPTIONS = (
    click.option(
        "--app-dir",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="An existing application's folder; its own `config` is used.",
    ),
    click.option("--engine", metavar="MODULE:ATTR", help="That application's engine, called with the store."),
    click.option("--store", metavar="MODULE:ATTR", help="That application's store, called with MEMORY_DB_PATH."),
)


class Application(NamedTuple):
    """Another program's engine and store, each named as `MODULE:ATTR`, and the folder that holds its modules."""

    folder: Path | None
    engine: str
    store: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words that make this program run it."""
        folder = () if self.folder is None else ("--app-dir", str(self.folder.absolute()))
        return ("run", *folder, "--engine", self.engine, "--store", self.store)

    def build(self, database: Path) -> tuple[Any, Any]:
        """Its store and its engine, each called once. Raises JarvisError, whatever goes wrong in there."""
        # What its own programs hand over is what its `config` holds, a path or a text.
        configured = getattr(sys.modules.get("config"), "MEMORY_DB_PATH", None)
        store = _call(self.store, configured or database)
        return store, _call(self.engine, store)


def application_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the three options; it gets them as `application`, which is None where there is none."""

    @functools.wraps(command)
    def with_application(
        *arguments: Any, app_dir: Path | None, engine: str | None, store: str | None, **options: Any
    ) -> None:
        command(*arguments, application=_application(app_dir, engine, store), **options)

    for option in reversed(_OPTIONS):
        option(with_application)
    return with_application


def application_folder(arguments: Sequence[str]) -> Path | None:
    """The folder that `Application.arguments` names."""
    return Path(arguments[arguments.index("--app-dir") + 1]) if "--app-dir" in arguments else None


def _application(folder: Path | None, engine: str | None, store: str | None) -> Application | None:
    if engine is None and store is None and folder is None:
        return None
    if engine is None or store is None:
        raise click.UsageError("--engine and --store go together, and --app-dir goes with them")
    return Application(folder, engine, store)


def _call(reference: str, argument: Any) -> Any:
    name, colon, attribute = reference.partition(":")
    if not colon or not name or not attribute:
        raise JarvisError(f"not MODULE:ATTR: {reference!r}; write it like memory.store:MemoryStore")
    try:
        return getattr(importlib.import_module(name), attribute)(argument)
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(
            f"cannot make {attribute} of the module {name}: {type(error).__name__}: {error}; "
            f"to see it all: {sys.executable} -c 'import {name}' in the application's folder"
        ) from error
