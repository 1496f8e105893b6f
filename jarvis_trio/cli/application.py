"""An existing application, named on the command line: its own engine, or its handlers under ours.

`--engine` and `--store` have the daemon tick the application's engine, unchanged. `--handlers`
keeps our engine and hands it the tasks whose types are the application's.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click

from jarvis_trio.delivery.secrets import read_variables
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.handlers.application.source import HandlerSource, make_source

_FOLDER = click.option(
    "--app-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An existing application's folder.",
)
_ENGINE = click.option(
    "--engine", metavar="MODULE:ATTR", help="Tick that application's own engine, called with the store."
)
_SOURCE = (
    click.option(
        "--store", metavar="MODULE:ATTR", help="That application's store, called with its config's MEMORY_DB_PATH."
    ),
    click.option(
        "--handlers",
        metavar="MODULE:CALLABLE",
        help="Keep this engine, and run the application's handlers for all types that are not built in.",
    ),
    click.option(
        "--app-python",
        metavar="PATH",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The application's interpreter; by default the one of its .venv or venv.",
    ),
    click.option(
        "--part",
        "parts",
        multiple=True,
        metavar="NAME=MODULE:ATTR[:CONSTANT]",
        help="A further argument of CALLABLE, made with a constant of the application's config. Repeatable.",
    ),
    click.option(
        "--instead-of",
        metavar="TYPE,...",
        default="",
        help="Built-in types that the application runs in their place; never custom.",
    ),
)


class WrappedEngine(NamedTuple):
    """Another program's engine and store, each named as `MODULE:ATTR`.

    `folder` holds their modules, if it is given.
    """

    folder: Path | None
    engine: str
    store: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options that name it."""
        folder = () if self.folder is None else ("--app-dir", str(self.folder.absolute()))
        return (*folder, "--engine", self.engine, "--store", self.store)

    def enter(self, variables_file: Path) -> None:
        """Make this process the application's: its folder, its variables, its lines in the log.

        Raises JarvisError if the file of variables is open to others or cannot be read.
        """
        if self.folder is not None:
            os.chdir(self.folder)
        logging.getLogger().setLevel(logging.INFO)
        if variables := read_variables(variables_file):
            os.environ.update(variables)
            if "config" in sys.modules:  # it may have read one of them already
                _import_again(sys.modules["config"])

    def build(self, database: Path) -> tuple[Any, Any]:
        """Return its store and its engine, each called once.

        Unless the engine allows concurrent ticks, one thread makes both and every call of the
        engine: a store of sqlite3's default kind works in no other thread. Raises JarvisError for
        whatever goes wrong in them.
        """
        from jarvis_trio.handlers.application.one_thread import OneThread  # noqa: PLC0415  # only an engine of others needs it

        thread = OneThread()
        store, engine = thread.call(functools.partial(self._build, database))
        if getattr(engine, "allows_concurrent_ticks", False) is True:
            return store, engine
        return store, thread.bound(engine)

    def _build(self, database: Path) -> tuple[Any, Any]:
        # What its own programs hand over is what its `config` holds, a path or a text.
        configured = getattr(sys.modules.get("config"), "MEMORY_DB_PATH", None)
        store = _call(self.store, configured or database)
        return store, _call(self.engine, store)


Application = WrappedEngine | HandlerSource
"""How an existing application is run."""


def application_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command all options; it gets them as `application`, which is None if none is given."""

    @functools.wraps(command)
    def with_application(*arguments: Any, engine: str | None, **options: Any) -> None:
        named, others = _split(options)
        command(*arguments, application=_application(engine=engine, **named), **others)

    return _with_options(with_application, _FOLDER, _ENGINE, *_SOURCE)


def handler_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `--handlers`; its session has them then as `source`."""

    @functools.wraps(command)
    def with_source(*arguments: Any, **options: Any) -> None:
        named, others = _split(options)
        session: Session = click.get_current_context().obj
        session.source = _source(**named)
        command(*arguments, **others)

    return _with_options(with_source, _FOLDER, *_SOURCE)


def application_of(arguments: Sequence[str]) -> Application | None:
    """The application that a command line runs.

    Raises JarvisError if its options no longer make sense.
    """
    found: list[Application | None] = []

    @click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    @application_options
    def reading(application: Application | None) -> None:
        found.append(application)

    try:
        reading.main(list(arguments), standalone_mode=False)
    except click.ClickException as error:
        raise JarvisError(f"the installed options make no sense: {error.format_message()}") from None
    return found[0]


_NAMES = ("app_dir", "store", "handlers", "app_python", "parts", "instead_of")


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {name: options.pop(name) for name in _NAMES}, options


def _with_options(command: Callable[..., None], *options: Callable[..., Any]) -> Callable[..., None]:
    for option in reversed(options):
        option(command)
    return command


def _application(*, engine: str | None, app_dir: Path | None, store: str | None, **others: Any) -> Application | None:
    if engine is None and (others["handlers"] is not None or store is None):
        return _source(app_dir=app_dir, store=store, **others)
    if engine is not None and any(others.values()):
        raise click.UsageError("--engine is the application's, and --handlers run under ours: give one of them")
    if engine is None or store is None:
        raise click.UsageError("--engine and --store go together; --app-dir goes with them, or with --handlers")
    return WrappedEngine(app_dir, engine, store)


def _source(
    *,
    app_dir: Path | None,
    store: str | None,
    handlers: str | None,
    app_python: Path | None,
    parts: tuple[str, ...],
    instead_of: str,
) -> HandlerSource | None:
    if handlers is None:
        if app_dir or store or app_python or parts or instead_of:
            raise click.UsageError("--app-dir, --store, --app-python, --part and --instead-of go with --handlers")
        return None
    if app_dir is None:
        raise click.UsageError("--handlers goes with --app-dir")
    return make_source(app_dir, handlers, python=app_python, store=store or "", parts=parts, instead_of=instead_of)


def _import_again(module: ModuleType) -> None:
    try:
        importlib.reload(module)
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(f"cannot import {module.__name__}: {type(error).__name__}: {error}") from error


def _call(reference: str, argument: Any) -> Any:
    name, colon, attribute = reference.partition(":")
    if not colon or not name or not attribute:
        raise JarvisError(f"not MODULE:ATTR: {reference!r}", fix="write it like memory.store:MemoryStore")
    try:
        return getattr(importlib.import_module(name), attribute)(argument)
    except (Exception, SystemExit) as error:  # another program's code, which may do anything
        raise JarvisError(
            f"cannot make {attribute} of the module {name}: {type(error).__name__}: {error}",
            fix=f"to see it all: {sys.executable} -c 'import {name}' in the application's folder",
        ) from error
