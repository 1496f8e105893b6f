"""One tick: claim what is due, run it, record it. Plain synchronous code (law 7)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jarvis_trio.engine.engine import SchedulerEngine

__all__ = ["SchedulerEngine"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("jarvis_trio.engine.engine"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
