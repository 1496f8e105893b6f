"""When to tick. trio lives here; it is imported when a name below is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jarvis_trio.daemon.loop import Engine, JarvisDaemon

__all__ = ["Engine", "JarvisDaemon"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("jarvis_trio.daemon.loop"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
