"""An existing application, named on the command line: its own engine, or its handlers under ours.

`--engine` and `--store` have the daemon tick the application's engine, unchanged. `--handlers`
keeps our engine and hands it the tasks whose types are the application's.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.foreground.application import Application, WrappedEngine
from jarvis_trio.handlers.application.source import HandlerSource, make_source
from jarvis_trio.permission import permission_fix


class _Folder(click.Path):
    """A folder that may be read. click would say that it may not, and not what to do."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises JarvisError if it may not be read."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not os.access(path, os.R_OK | os.X_OK):
            denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            says = f"cannot use the folder {path}: {denied.strerror}"
            raise JarvisError(says, fix=permission_fix(path, denied))
        return path


_FOLDER = click.option(
    "--app-dir",
    type=_Folder(),
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


def application_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options; it gets them as `application`, which is None if none is given."""

    @functools.wraps(command)
    def with_application(*arguments: Any, engine: str | None, **options: Any) -> Any:
        named, others = _split(options)
        return command(*arguments, application=_application(engine=engine, **named), **others)

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


def _with_options(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
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
