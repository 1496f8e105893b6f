"""An existing application that the daemon runs: its own engine, or its handlers under ours.

`WrappedEngine` has the daemon tick the application's engine, unchanged. `HandlerSource` keeps our
engine and hands it the tasks whose types are the application's.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jarvis_trio.delivery.secrets import read_variables
from jarvis_trio.errors import JarvisError
from jarvis_trio.handlers.application.source import HandlerSource


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
        from jarvis_trio.foreground.one_thread import OneThread  # noqa: PLC0415  # only an engine of others needs it

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
