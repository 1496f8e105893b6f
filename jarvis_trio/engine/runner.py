"""Calls one handler and says how it ended, whatever it does (law 4).

Guarantees:

- A call ends as exactly one outcome, whatever the handler raises or returns.
- The caller waits no longer than the handler's time limit, and its `grace` if it has one.
- A callback given to `Outcome.when_over` is called once, after the handler's thread has ended.
- A thread that makes a call makes no other one until that call has ended.
- What a handler sets for its thread alone (a context variable, decimal's precision, a mask of
  signals) is gone when the thread makes its next call.

This code assumes that a Python thread cannot be killed, and that `deque` and `SimpleQueue`
are atomic (docs.python.org, library/queue and library/collections).

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
from dataclasses import replace
from datetime import timedelta
from functools import partial

from jarvis_trio.errors import HandlerError, HandlerSkippedError, HandlerTimeoutError, StoreClosedError
from jarvis_trio.models import Handler, HandlerContext, HandlerResult, Outcome, RunStatus, ScheduledTask
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.jsontext import RESULT_LIMIT, result_text
from jarvis_trio.notation.text import error_text, storable

STOP_PATIENCE = timedelta(seconds=5)
"""How long a handler that is told to stop may take at least, before its thread is left alone."""

_LOOK_SECONDS = 0.25
"""How often it is looked whether a handler was told to stop."""

Runner = Callable[[Handler, ScheduledTask, HandlerContext], Outcome]
"""Calls a handler for a task, and returns how that ended; never raises."""


def run_inline(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    """Call the handler in this thread, without a time limit.

    This is for simulations, which must be exact.
    """
    return call_handler(handler, task, context)


def run_in_thread(handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
    """Call the handler in another thread, and wait for at most its time limit.

    A thread that outlives the limit is left alone: it is a daemon thread, so it does not hold
    up the exit. A handler that ends its own work at the limit says by its attribute `grace`
    (timedelta) how long that may take.
    """
    return _threads.run(handler, task, context)


class Threads:
    """Threads that make one call after the other.

    To start a new thread costs more than all the SQL of a run.
    """

    def __init__(self) -> None:
        self._idle: list[queue.SimpleQueue[_Call]] = []

    def run(self, handler: Handler, task: ScheduledTask, context: HandlerContext) -> Outcome:
        """Have one of the threads call the handler, and wait for it; see `run_in_thread`."""
        call = _Call(handler, task, context)
        try:
            self._make(call)
        except RuntimeError as error:  # "can't start new thread"
            return Outcome(RunStatus.ERROR, reason=f"no thread could be started: {error}")
        return call.wait()

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


_threads = Threads()
os.register_at_fork(after_in_child=_threads.forget)


class _Call:
    """One call of a handler, between the thread that makes it and the one that waits for it."""

    def __init__(self, handler: Handler, task: ScheduledTask, context: HandlerContext) -> None:
        self._handler = handler
        self._task = task
        self._context = context
        self._guard = threading.Lock()
        # A bare lock, which `run` releases: an Event is a lock for each wait, made in Python.
        self._runs = threading.Lock()
        self._runs.acquire()
        self._outcome: Outcome | None = None
        self._release: Callable[[], None] | None = None

    def run(self) -> None:
        """Make the call; in the thread that serves it."""
        outcome = call_handler(self._handler, self._task, self._context)

        with self._guard:
            self._outcome = self._outcome or outcome
            self._runs.release()
            release = self._release

        if release is not None:
            self._context.logger.warning("The handler has ended at last, beyond its time limit")
            release()

    def wait(self) -> Outcome:
        """Wait for the end of the call or of its time limit, and return the outcome."""
        if not self._ends_in_time():
            # Asked only now, since an installed handler is imported by its own first call.
            grace = getattr(self._handler, "grace", None)
            patience = grace if isinstance(grace, timedelta) else timedelta(0)
            if self._context.cancelled.is_set():
                patience = max(patience, STOP_PATIENCE)
            self._has_ended_after(patience.total_seconds())

        with self._guard:
            if self._outcome is None:
                self._context.cancelled.set()
                self._outcome = self._given_up()
            return self._outcome

    def _ends_in_time(self) -> bool:
        """Wait for the end of the call.

        Returns False at the call's time limit, or as soon as the call is told to stop.
        """
        deadline = time.monotonic() + self._context.timeout.total_seconds()
        while (left := deadline - time.monotonic()) > 0:
            if self._has_ended_after(min(left, _LOOK_SECONDS)):
                return True
            if self._context.cancelled.is_set():
                return False
        return False

    def _has_ended_after(self, seconds: float) -> bool:
        """Whether the call ends within that time; once it has, do not ask again."""
        return self._runs.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))  # -1 is for ever

    def _when_over(self, release: Callable[[], None]) -> None:
        with self._guard:
            if self._runs.locked():
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
