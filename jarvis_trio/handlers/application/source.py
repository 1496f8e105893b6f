"""Which application's handlers are run, as a person named them on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jarvis_trio.errors import JarvisError
from jarvis_trio.models import COMMAND_TYPE

ENVIRONMENT_FILE = "application.env"
"""Variables for the application alone, in the daemon's data folder: `NAME=value`, mode 0600."""

_REFERENCE = r"[\w.]+:\w+"
_PART = r"([A-Za-z_]\w*)=([\w.]+:\w+(?::\w+)?)"
_TYPE = r"[a-z][a-z0-9_]*"
_INTERPRETERS = (".venv/bin/python", "venv/bin/python")


class HandlerSource(NamedTuple):
    """An application whose handlers run under our engine.

    Attributes:
        folder: where its modules are; the current folder of each run.
        handlers: `MODULE:CALLABLE`, called with a type, a configuration and the parts.
        python: its own interpreter.
        store: `MODULE:ATTR`, called with its `config.MEMORY_DB_PATH`; empty for no store.
        parts: further arguments by name, `MODULE:ATTR` or `MODULE:ATTR:CONSTANT` of its `config`.
        instead_of: built-in types that it runs in our place.
    """

    folder: Path
    handlers: str
    python: Path
    store: str = ""
    parts: Mapping[str, str] = MappingProxyType({})
    instead_of: frozenset[str] = frozenset()

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words of the command line that say all this."""
        words = ["--app-dir", str(self.folder), "--handlers", self.handlers, "--app-python", str(self.python)]
        if self.store:
            words += ["--store", self.store]
        for name, reference in self.parts.items():
            words += ["--part", f"{name}={reference}"]
        if self.instead_of:
            words += ["--instead-of", ",".join(sorted(self.instead_of))]
        return tuple(words)

    def takes(self, handler_type: str, built_in: Mapping[str, object]) -> bool:
        """Whether runs of that type go to the application.

        Commands never do: nobody approved what the application would run. So only plain names do,
        since an application may read `Custom ` as `custom`.
        """
        if re.fullmatch(_TYPE, handler_type) is None or handler_type == COMMAND_TYPE:
            return False
        return handler_type not in built_in or handler_type in self.instead_of


def make_source(
    folder: Path,
    handlers: str,
    *,
    python: Path | None = None,
    store: str = "",
    parts: tuple[str, ...] = (),
    instead_of: str = "",
) -> HandlerSource:
    """The application that these words name. Raises JarvisError if they cannot be understood."""
    folder = folder.absolute()
    for reference in filter(None, (handlers, store)):
        if re.fullmatch(_REFERENCE, reference) is None:
            raise JarvisError(f"not MODULE:ATTR: {reference!r}", fix="write it like memory.store:MemoryStore")
    return HandlerSource(
        folder,
        handlers,
        _interpreter(folder, python),
        store,
        dict(map(_part, parts)),
        _types(instead_of),
    )


def _interpreter(folder: Path, python: Path | None) -> Path:
    """The interpreter. A venv's link is not resolved: it is what makes it the venv's."""
    candidates = [python.absolute()] if python else [folder / name for name in _INTERPRETERS]
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    tried = " and ".join(map(str, candidates))
    raise JarvisError(f"no interpreter of the application at {tried}", fix="name it: --app-python PATH")


def _part(text: str) -> tuple[str, str]:
    found = re.fullmatch(_PART, text)
    if found is None:
        fix = "write it like agent_registry=agents.registry:AgentRegistry:AGENT_CONFIGS_DIR"
        raise JarvisError(f"not NAME=MODULE:ATTR[:CONSTANT]: {text!r}", fix=fix)
    return found[1], found[2]


def _types(text: str) -> frozenset[str]:
    types = frozenset(filter(None, (word.strip() for word in text.split(","))))
    if COMMAND_TYPE in types:
        raise JarvisError(
            "custom tasks always run here, since the application would run commands that nobody approved",
            fix="leave custom out of --instead-of",
        )
    return types
