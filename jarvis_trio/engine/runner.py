"""Calls one handler and says how it ended, whatever it does (law 4)."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from jarvis_trio.errors import HandlerError, HandlerSkippedError, HandlerTimeoutError
from jarvis_trio.instants import duration_text
from jarvis_trio.jsontext import RESULT_LIMIT, result_text
from jarvis_trio.models import Handler, HandlerContext, HandlerResult, Outcome, RunStatus, ScheduledTask
from jarvis_trio.text import error_text, storable


class Attempt(Protocol):
    """A call of a handler that has ended, or that was given up."""

    @property
    def outcome(self) -> Outcome:
        """How it ended."""

    def when_over(self, release: Callable[[], None]) -> None:
        """Have `release` called when nothing of the call is alive any more."""


Runner = Callable[[Handler, ScheduledTask, HandlerContext], Attempt]


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt of which nothing is left."""

    outcome: Outcome

    def when_over(self, release: Callable[[], None]) -> None:
        release()


def run_inline(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Attempt:
    """Call the handler in this thread, without a time limit: for simulations, which must be exact."""
    return EndedAttempt(call_handler(handler, task, context))


def run_in_thread(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Attempt:
    """Call the handler in another thread, and wait for at most its time limit.

    A Python thread cannot be killed. One that outlives the limit is left alone: it is
    a daemon thread, so it does not hold up the exit. A handler that ends its own work
    at the limit says by its attribute `grace` (timedelta) how long that may take.
    """
    call = _Call(handler, task, context)
    try:
        _threads.make(call)
    except RuntimeError as error:  # "can't start new thread"
        return EndedAttempt(Outcome(RunStatus.ERROR, reason=f"no thread could be started: {error}"))
    return call.wait()


class _Threads:
    """Threads that make one call after the other; to start a new one costs more than all the SQL of a run."""

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[_Call]] = []

    def make(self, call: _Call) -> None:
        """Have an idle thread, or else a new one, make the call. Raises RuntimeError where none can be started."""
        try:
            calls = self._idle.pop()
        except IndexError:
            calls = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(calls,), name="handlers", daemon=True).start()
        calls.put(call)

    def _serve(self, calls: queue.SimpleQueue[_Call]) -> None:
        while True:
            calls.get().run()
            self._idle.append(calls)

    def forget(self) -> None:
        """In a forked process none of them is there: only the thread that forked goes on (fork(2))."""
        self._idle.clear()


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.forget)


class _Call:
    def __init__(self, handler: Handler, task: ScheduledTask, context: HandlerContext) -> None:
        self._what = (handler, task, context)
        self._context = context
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._release: Callable[[], None] | None = None
        self._outcome: Outcome | None = None

    def run(self) -> None:
        outcome = call_handler(*self._what)
        with self._guard:
            self._outcome = self._outcome or outcome
            self._ended.set()
            release = self._release
        if release is not None:
            self._context.logger.warning("The handler has ended at last, beyond its time limit")
            release()

    def wait(self) -> Attempt:
        if not self._ended.wait(self._context.timeout.total_seconds()):
            # Asked only now, since an installed handler is imported by its own first call.
            grace = getattr(self._what[0], "grace", None)
            self._ended.wait(grace.total_seconds() if isinstance(grace, timedelta) else 0)
        with self._guard:
            if self._outcome is None:
                self._context.cancelled.set()
                allowed = duration_text(self._context.timeout)
                reason = f"no end after {allowed}; its thread cannot be killed, the task starts again when it is over"
                self._outcome = Outcome(RunStatus.TIMEOUT, reason=reason, lingers=True)
        return self

    @property
    def outcome(self) -> Outcome:
        assert self._outcome is not None
        return self._outcome

    def when_over(self, release: Callable[[], None]) -> None:
        with self._guard:
            if not self._ended.is_set():
                self._release = release
                return
        release()


def call_handler(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    """Call the handler and turn whatever comes of it into an outcome; never raises."""
    try:
        return _outcome_of(handler(task, context))
    except HandlerTimeoutError as error:
        return Outcome(RunStatus.TIMEOUT, reason=error_text(error) or "it stopped at its time limit")
    except HandlerSkippedError as error:
        return Outcome(RunStatus.SKIPPED, reason=error_text(error) or "its handler did nothing, and does not say why")
    except HandlerError as error:
        return Outcome(RunStatus.ERROR, reason=error_text(error) or "it failed and does not say why")
    except BaseException as error:  # border of law 4: SystemExit, KeyboardInterrupt, anything, is the task's
        context.logger.error("The handler raised %s", type(error).__name__, exc_info=error)
        return Outcome(RunStatus.ERROR, reason=_describe(error))


def _outcome_of(result: HandlerResult) -> Outcome:
    text = None if result is None else result_text(result)
    failure = _reported_error(result)
    if failure is None:
        return Outcome(RunStatus.EXECUTED, result=text)
    return Outcome(RunStatus.ERROR, result=text, reason=failure)


def _reported_error(result: HandlerResult) -> str | None:
    """Why a result says of itself that it is an error (`{"status": "error"}`), or None."""
    value: object = result
    if isinstance(result, str) and result.lstrip()[:1] == "{" and len(result) <= RESULT_LIMIT:
        try:
            value = json.loads(result)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping) or value.get("status") != "error":
        return None
    return storable(str(value.get("error") or value.get("message") or "the handler reported an error"))


def _describe(error: BaseException) -> str:
    text = error_text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
