"""Which handlers are under way in this process, and a word when one returns."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable

from jarvis_trio.models import Handler, HandlerContext, HandlerResult, ScheduledTask

_logger = logging.getLogger(__name__)


class UnderWay:
    """The calls that have not returned, also those that were given up at their time limit.

    Several threads may call it.

    Attributes:
        on_return: called in a handler's thread as soon as it has returned, while its task is still
            among `tasks`.
    """

    def __init__(self) -> None:
        self.on_return: Callable[[], object] = lambda: None
        self._guard = threading.Lock()
        self._tasks: dict[int, ScheduledTask] = {}
        self._keys = itertools.count()

    def around(self, handler: Handler) -> Handler:
        """The same handler, whose calls are known here."""
        return _Known(handler, self)

    def tasks(self) -> list[ScheduledTask]:
        """The tasks whose handlers are under way."""
        with self._guard:
            return list(self._tasks.values())

    def begin(self, task: ScheduledTask) -> int:
        """The handler of a task is about to be called. Returns what `end` wants to know."""
        key = next(self._keys)
        with self._guard:
            self._tasks[key] = task
        return key

    def end(self, key: int) -> None:
        """It has returned. Never raises: the handler's result or error is what counts."""
        try:
            self.on_return()
        except Exception:
            _logger.exception("What looks after each handler has failed")
        finally:
            with self._guard:
                del self._tasks[key]


class _Known:
    def __init__(self, handler: Handler, under_way: UnderWay) -> None:
        self._handler = handler
        self._under_way = under_way

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> HandlerResult:
        key = self._under_way.begin(task)
        try:
            return self._handler(task, context)
        finally:
            self._under_way.end(key)

    @property
    def grace(self) -> object:
        """How long the handler may take beyond its time limit, if it says."""
        return getattr(self._handler, "grace", None)
