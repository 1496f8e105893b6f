"""Calls handlers and says how each call ended, whatever the handler does (law 4).

Guarantees:

- A call ends as exactly one outcome, whatever the handler raises or returns.
- A call has an outcome at the latest at the handler's time limit, and its `grace` if it has one.
- A callback given to `Outcome.when_over` is called once, after the handler's thread has ended.
- A thread that makes a call makes no other one until that call has ended.
- What a handler sets for its thread alone (a context variable, decimal's precision, a mask of
  signals) is gone when the thread makes its next call.

This code assumes that a Python thread cannot be killed, that `deque` and `SimpleQueue` are atomic
(docs.python.org, library/queue and library/collections), and that one thread asks a call for its
outcome until it has one.

The races, each with what decides it:

1. The handler returns just as its limit passes. Whoever takes the guard first writes the outcome;
   the other one finds it written. Late results change nothing.
2. The thread ends while `when_over` is being called. Under the guard either the thread finds the
   callback and calls it, or the caller finds the thread ended and calls it.
3. Two callers want an idle thread. `pop` hands it to one of them; the other starts a new one.
4. The process forks while threads idle. They do not exist in the child, so it forgets them.
"""

from __future__ import annotations

import contextvars
import json
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from jarvis_trio.errors import HandlerError, HandlerSkippedError, HandlerTimeoutError, StoreClosedError
from jarvis_trio.models import Handler, HandlerContext, HandlerResult, Outcome, RunStatus, ScheduledTask
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.jsontext import RESULT_LIMIT, result_text
from jarvis_trio.notation.text import error_text, error_words, storable

STOP_PATIENCE = timedelta(seconds=5)
"""How long a handler that is told to stop may take at least, before its thread is left alone."""

_LOOK = timedelta(seconds=0.25)
"""How often it is looked whether a handler was told to stop."""

Runner = Callable[[Handler, ScheduledTask, HandlerContext], Outcome]
"""Calls a handler for a task, and returns how that ended; never raises."""


class Call(Protocol):
    """A call of a handler that has begun."""

    def outcome(self) -> Outcome | None:
        """How the call ended, or was given up; None while it goes on and may go on."""

    def look_in(self) -> float:
        """In how many seconds to ask for the outcome again, unless the call is over before."""


def run_inline(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    """Call the handler in this thread, without a time limit.

    This is for simulations, which must be exact.
    """
    return call_handler(handler, task, context)


class Threads:
    """Threads that make one call after the other.

    To start a new thread costs more than all the SQL of a run.
    """

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[_Call]] = []

    def __call__(self, handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
        """Have one of the threads call the handler, and wait for it; see `run_in_thread`."""
        over: queue.SimpleQueue[None] = queue.SimpleQueue()
        call = self.start(handler, task, context, lambda: over.put(None))
        while (outcome := call.outcome()) is None:
            with suppress(queue.Empty):
                over.get(timeout=call.look_in())
        return outcome

    def start(self, handler: Handler, task: ScheduledTask, context: HandlerContext, over: Callable[[], object]) -> Call:
        """Have one of the threads call the handler.

        `over` is called, in any thread, as soon as the handler has returned, if the call has not
        been given up.
        """
        call = _Call(handler, task, context, over)
        try:
            self._make(call)
        except RuntimeError as error:  # "can't start new thread"
            call.end(Outcome(RunStatus.ERROR, reason=f"no thread could be started: {error}"))
        return call

    def _make(self, call: _Call) -> None:
        """Have an idle thread make the call, or else a new one.

        Raises RuntimeError if no thread can be started.
        """
        try:
            calls = self._idle.pop()
        except IndexError:
            calls = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(calls,), name="handlers", daemon=True).start()
        calls.put(call)

    def forget(self) -> None:
        """Forget all threads, in the child of a fork.

        Only the thread that forked exists there (fork(2)).
        """
        self._idle.clear()

    def _serve(self, calls: queue.SimpleQueue[_Call]) -> None:
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        while True:
            contextvars.Context().run(calls.get().run)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)  # a command that starts here would inherit it
            self._idle.append(calls)


run_in_thread = Threads()
"""Calls a handler in another thread, and waits for at most its time limit.

A thread that outlives the limit is left alone: it is a daemon thread, so it does not hold up the
exit. A handler that ends its own work at the limit says by its attribute `grace` (timedelta) how
long that may take.
"""
os.register_at_fork(after_in_child=run_in_thread.forget)


class _Call:
    """One call of a handler, between the thread that makes it and the one that waits for it."""

    def __init__(
        self, handler: Handler, task: ScheduledTask, context: HandlerContext, over: Callable[[], object]
    ) -> None:
        self._handler = handler
        self._task = task
        self._context = context
        self._over = over
        self._ends_by = time.monotonic() + context.timeout.total_seconds()
        self._is_pressed = False
        self._guard = threading.Lock()
        self._has_returned = False
        self._outcome: Outcome | None = None
        self._release: Callable[[], None] | None = None

    def run(self) -> None:
        """Make the call; in the thread that serves it."""
        self.end(call_handler(self._handler, self._task, self._context))

    def end(self, outcome: Outcome) -> None:
        """The handler has returned, or could not be called."""
        with self._guard:
            is_late = self._outcome is not None
            self._outcome = self._outcome or outcome
            self._has_returned = True
            release = self._release

        if not is_late:
            self._over()
        if release is not None:
            self._context.logger.warning("The handler has ended at last, beyond its time limit")
            release()

    def outcome(self) -> Outcome | None:
        """How the call ended; from its time limit on, that it was given up."""
        if self._outcome is None and self._is_late():
            with self._guard:
                if self._outcome is None:
                    self._context.cancelled.set()
                    self._outcome = self._given_up()
        return self._outcome

    def look_in(self) -> float:
        """The seconds until the time is over, at most until it is looked who was told to stop."""
        return min(max(self._ends_by - time.monotonic(), 0.0), _LOOK.total_seconds())

    def _is_late(self) -> bool:
        """Whether the time is over: the limit, and the patience of a handler that ends its work."""
        now = time.monotonic()
        if not self._is_pressed and (now >= self._ends_by or self._context.cancelled.is_set()):
            self._is_pressed = True
            self._ends_by = now + self._patience().total_seconds()
        return now >= self._ends_by

    def _patience(self) -> timedelta:
        # Asked only now, since an installed handler is imported by its own first call.
        grace = getattr(self._handler, "grace", None)
        least = STOP_PATIENCE if self._context.cancelled.is_set() else timedelta(0)
        return max(grace, least) if isinstance(grace, timedelta) else least

    def _when_over(self, release: Callable[[], None]) -> None:
        with self._guard:
            if not self._has_returned:
                self._release = release
                return
        release()

    def _given_up(self) -> Outcome:
        allowed = duration_text(self._context.timeout)
        reason = f"no end after {allowed}; its thread cannot be killed, the task starts again when it is over"
        return Outcome(RunStatus.TIMEOUT, reason=reason, lingers=True, subscribe=self._when_over)


def call_handler(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    """Call the handler and turn whatever comes of it into an outcome; never raises."""
    outcome = _ending(handler, task, context)
    if not context.lingering:
        return outcome
    return replace(outcome, lingers=True, subscribe=partial(_watch, tuple(context.lingering)))


def _watch(lingering: tuple[Callable[[], object], ...], release: Callable[[], None]) -> None:
    """Call `release` once all that a handler left behind is over; a daemon thread waits for it."""

    def wait() -> None:
        for until_over in lingering:
            until_over()
        release()

    threading.Thread(target=wait, name="lingering", daemon=True).start()


def _ending(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    try:
        return _outcome_of(handler(task, context))
    except HandlerTimeoutError as error:
        return Outcome(RunStatus.TIMEOUT, reason=error_text(error) or "it stopped at its time limit")
    except HandlerSkippedError as error:
        return Outcome(RunStatus.SKIPPED, reason=error_text(error) or "its handler did nothing, and does not say why")
    except (HandlerError, StoreClosedError) as error:  # closed: it outlived its limit, and the process ends
        return Outcome(RunStatus.ERROR, reason=error_text(error) or "it failed and does not say why")
    except BaseException as error:  # border of law 4: SystemExit, KeyboardInterrupt, anything, is the task's
        context.logger.error("The handler raised %s", type(error).__name__, exc_info=error)
        return Outcome(RunStatus.ERROR, reason=error_words(error))


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
