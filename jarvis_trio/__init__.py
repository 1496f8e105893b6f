"""A scheduler daemon: a trio nursery around a synchronous engine.

The names below are the public ones. Each is imported when it is first used, so that
`import jarvis_trio` costs nothing, and `list` at the prompt does not pay for trio.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # `typing` has the same, and takes 10 ms, in which Ctrl-C prints a traceback
if TYPE_CHECKING:
    from typing import Any

    from jarvis_trio.daemon import Engine, JarvisDaemon
    from jarvis_trio.engine import SchedulerEngine
    from jarvis_trio.errors import JarvisError
    from jarvis_trio.models import HandlerContext, Run, RunStatus, ScheduledTask
    from jarvis_trio.policy import Policy
    from jarvis_trio.schedules.cron import CronExpression
    from jarvis_trio.schedules.schedule import calculate_next_run
    from jarvis_trio.store import MemoryStore

__version__ = "2.0.0"

__all__ = [
    "CronExpression",
    "Engine",
    "HandlerContext",
    "JarvisDaemon",
    "JarvisError",
    "MemoryStore",
    "Policy",
    "Run",
    "RunStatus",
    "ScheduledTask",
    "SchedulerEngine",
    "calculate_next_run",
]

_HOMES = {
    "schedules.cron": ("CronExpression",),
    "daemon": ("Engine", "JarvisDaemon"),
    "engine": ("SchedulerEngine",),
    "errors": ("JarvisError",),
    "models": ("HandlerContext", "Run", "RunStatus", "ScheduledTask"),
    "policy": ("Policy",),
    "schedules.schedule": ("calculate_next_run",),
    "store": ("MemoryStore",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
