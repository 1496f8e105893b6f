"""A handler that was claimed ahead of its time, and is called at that time."""

from __future__ import annotations

from collections.abc import Callable

from jarvis_trio.models import Handler, HandlerContext, HandlerResult, ScheduledTask


class Punctual:
    """Waits in the handler's own thread, so that nothing lies between the instant and the call.

    To stop the run ends the wait, and the handler is not called.

    Args:
        handler: what is called.
        monotonic: the clock that nobody sets.
        until: when, by that clock.
    """

    def __init__(self, handler: Handler, monotonic: Callable[[], float], until: float) -> None:
        self._handler = handler
        self._monotonic = monotonic
        self._until = until

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> HandlerResult:
        if (seconds := self._until - self._monotonic()) > 0 and context.cancelled.wait(seconds):
            return None
        return self._handler(task, context)

    @property
    def grace(self) -> object:
        """How long the handler may take beyond its time limit, if it says."""
        return getattr(self._handler, "grace", None)
