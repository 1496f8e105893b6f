"""A scheduler daemon: a trio nursery around a synchronous engine.

The names that a program builds on can be taken from here or from their modules. A module
is loaded when such a name is asked for, since `list` at the prompt need not pay for trio.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CronExpression": "cron",
    "Engine": "daemon",
    "JarvisDaemon": "daemon",
    "MemoryStore": "store",
    "SchedulerEngine": "engine",
    "calculate_next_run": "schedule",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
