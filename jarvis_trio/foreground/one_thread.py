"""An application's own engine, of which every call is made in one and the same thread.

The daemon sends each tick to whatever thread is free. A store of sqlite3's default kind works
only in the thread that made it, so a tick hands its call on to that one and waits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Value = TypeVar("_Value")


class OneThread:
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "application")

    def call(self, function: Callable[[], _Value]) -> _Value:
        """What `function` returns, or raises, in that thread."""
        return self._pool.submit(function).result()

    def bound(self, engine: Any) -> BoundEngine:
        """The engine, with every call of its methods made in that thread."""
        return BoundEngine(engine, self)


class BoundEngine:
    """An engine that offers what another one offers, in the thread that made that one."""

    allows_concurrent_ticks = False

    def __init__(self, engine: Any, thread: OneThread) -> None:
        self._engine = engine
        self._thread = thread

    def __getattr__(self, name: str) -> Any:
        offered = getattr(self._engine, name)
        if not callable(offered):
            return offered
        return lambda *arguments, **options: self._thread.call(functools.partial(offered, *arguments, **options))
