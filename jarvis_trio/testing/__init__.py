"""The kit for tests of tasks: a simulated machine, and one call of one handler."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jarvis_trio.testing.simulation import Simulation

__all__ = ["Simulation"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("jarvis_trio.testing.simulation"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
