"""Tests of one call of a handler, whatever it does (law 4). Real threads where a time limit matters."""

from __future__ import annotations

import decimal
import json
import logging
import math
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jarvis_trio.engine.runner import Runner, Threads, call_handler, run_in_thread, run_inline
from jarvis_trio.errors import HandlerError, HandlerSkippedError, HandlerTimeoutError
from jarvis_trio.models import HandlerContext, Outcome, RunStatus
from jarvis_trio.notation.jsontext import RESULT_LIMIT
from tests.support.core_fakes import PATIENCE, START, Gate, a_task

TASK = a_task(id=1)
SOON = timedelta(milliseconds=30)
CHECKOUT = Path(__file__).parents[2]


def context(timeout: timedelta = timedelta(seconds=PATIENCE)) -> HandlerContext:
    return HandlerContext(None, START, 1, START, timeout, logging.getLogger("a.task"))


def outcome_of(result: Any) -> Outcome:
    return call_handler(lambda task, context: result, TASK, context())


def outcome_of_raising(error: BaseException) -> Outcome:
    def handler(task: object, context: object) -> None:
        raise error

    return call_handler(handler, TASK, context())


def assert_storable(outcome: Outcome) -> None:
    """Any reader takes it: JSON without extensions, in UTF-8, of sane size."""
    for text in (outcome.result, outcome.last_result):
        if text is not None:
            text.encode("ascii")
            json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
            assert len(text) <= 7 * RESULT_LIMIT
    if outcome.reason is not None:
        outcome.reason.encode()
        assert len(outcome.reason) <= 6000


def test_what_a_handler_could_not_end_holds_its_task() -> None:
    over, released, around = threading.Event(), threading.Event(), context()
    around.lingering.append(over.wait)
    outcome = call_handler(lambda task, context: None, TASK, around)
    assert (outcome.status, outcome.lingers) == (RunStatus.EXECUTED, True)
    outcome.when_over(released.set)
    assert not released.is_set()
    over.set()
    assert released.wait(PATIENCE)


def test_the_thread_that_waits_for_what_a_handler_left_behind_holds_up_no_exit() -> None:
    over, around = threading.Event(), context()
    around.lingering.append(over.wait)
    call_handler(lambda task, context: None, TASK, around).when_over(lambda: None)
    try:
        assert {thread.daemon for thread in threading.enumerate() if thread.name == "lingering"} == {True}
    finally:
        over.set()


@pytest.mark.parametrize("call", [call_handler, run_inline])
def test_a_handler_is_given_its_task_and_its_context(call: Runner) -> None:
    given: list[object] = []
    around = context()
    call(lambda *arguments: given.extend(arguments), TASK, around)
    assert given == [TASK, around]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, None),
        ({"n": 1}, '{"n": 1}'),
        ({}, "{}"),
        ("done", '"done"'),
        ('{"n":  1}', '{"n":  1}'),
        ("", '""'),
        ({"when": START}, '{"when": "2026-03-02 09:00:00+00:00"}'),
        ("naïve", '"na\\u00efve"'),
    ],
)
def test_a_result_is_kept_as_json(result: Any, text: str | None) -> None:
    outcome = outcome_of(result)
    assert (outcome.status, outcome.result, outcome.reason) == (RunStatus.EXECUTED, text, None)
    assert_storable(outcome)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"status": "error", "error": "no net"}, "no net"),
        ({"status": "error", "message": "no net"}, "no net"),
        ({"status": "error"}, "the handler reported an error"),
        ('{"status": "error", "error": "no net"}', "no net"),
        ('\n {"status": "error", "error": "no net"}', "no net"),
        ({"status": "error", "error": {"code": 5}}, "{'code': 5}"),
    ],
)
def test_a_result_that_says_error_is_an_error(result: Any, reason: str) -> None:
    outcome = outcome_of(result)
    assert (outcome.status, outcome.reason) == (RunStatus.ERROR, reason)
    assert outcome.result is not None


@pytest.mark.parametrize(("beyond", "status"), [(0, RunStatus.ERROR), (1, RunStatus.EXECUTED)])
def test_a_text_is_asked_whether_it_says_error_as_long_as_it_is_kept_whole(beyond: int, status: RunStatus) -> None:
    text = '{"status": "error"}'
    assert outcome_of(text + " " * (RESULT_LIMIT + beyond - len(text))).status is status


def deep() -> Any:
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"a": value}
    return value


def cyclic() -> Any:
    value: dict[str, Any] = {}
    value["me"] = value
    return value


class Unspeakable:
    """Raises whenever it is to become text."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "result",
    [
        5,
        object(),
        b"\xff" * 100,
        {"a": math.nan},
        '{"a": NaN}',
        "Infinity",
        {"a": "\ud800"},
        "\ud800",
        '"\ud800"',
        {(1, 2): 3},
        {"a": {1, 2}},
        cyclic(),
        [1, 2],
        "[" * 200_000,
        {"status": ["error"]},
        {"status": "error", "error": "\ud800\n" * 10_000},
        {"status": "error", "error": "x" * 1_000_000},
        '{"status": "error", "error": "\\ud800"}',
        "\x00\x1b[31m",
        {"a": Unspeakable(KeyError("no text"))},
        {"status": "error", "error": Unspeakable(RuntimeError())},
        {"a": Unspeakable(SystemExit(3))},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_is_no_json_still_ends_the_run(result: Any) -> None:
    outcome = outcome_of(result)
    assert outcome.status in (RunStatus.EXECUTED, RunStatus.ERROR)
    assert_storable(outcome)


@pytest.mark.law(4)
def test_a_deeply_nested_result_ends_the_run() -> None:
    assert_storable(outcome_of(deep()))


@pytest.mark.law(4)
@pytest.mark.parametrize("make", [lambda n: "x" * n, lambda n: "é" * n], ids="as")
def test_a_huge_result_is_cut_and_its_size_is_told(make: Callable[[int], Any]) -> None:
    outcome = outcome_of(make(5_000_000))
    assert_storable(outcome)
    assert outcome.result is not None
    kept = json.loads(outcome.result)
    assert kept["cut"] is True
    assert kept["length"] >= 5_000_000
    assert len(kept["head"]) == RESULT_LIMIT


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "error",
    [
        ValueError("no net"),
        SystemExit(1),
        SystemExit(),
        KeyboardInterrupt(),
        GeneratorExit(),
        RecursionError(),
        MemoryError("x" * 1_000_000),
        ExceptionGroup("several", [ValueError("one"), OSError("two")]),
        BaseExceptionGroup("several", [SystemExit(1)]),
        OSError(2, "no file \ud800", "\udcff"),
        ValueError("two\nlines\x1b[31m"),
        HandlerError("x" * 1_000_000),
        HandlerError("\ud800"),
        HandlerTimeoutError("\ud800"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_handler_raises_is_its_error(error: BaseException) -> None:
    outcome = outcome_of_raising(error)
    wanted = RunStatus.TIMEOUT if isinstance(error, HandlerTimeoutError) else RunStatus.ERROR
    assert outcome.status is wanted
    assert outcome.reason
    assert_storable(outcome)


@pytest.mark.law(4)
@pytest.mark.parametrize("kind", [Exception, SystemExit, HandlerError, HandlerTimeoutError])
@pytest.mark.parametrize("inner", [ValueError(), SystemExit(1), KeyboardInterrupt()])
def test_an_exception_whose_own_text_raises_is_an_error_too(kind: type[BaseException], inner: BaseException) -> None:
    class Rude(kind):  # type: ignore[valid-type, misc]  # made from a parameter
        def __str__(self) -> str:
            raise inner

        __repr__ = __str__

    outcome = outcome_of_raising(Rude())
    assert outcome.status in (RunStatus.ERROR, RunStatus.TIMEOUT)
    assert_storable(outcome)


def test_a_reason_names_the_exception_and_its_text() -> None:
    assert outcome_of_raising(ValueError("no net")).reason == "ValueError: no net"
    assert outcome_of_raising(SystemExit()).reason == "SystemExit"
    assert outcome_of_raising(HandlerError("the file is gone")).reason == "the file is gone"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HandlerTimeoutError(""), "it stopped at its time limit"),
        (HandlerSkippedError(""), "its handler did nothing, and does not say why"),
        (HandlerError(""), "it failed and does not say why"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_handler_that_does_not_say_why_has_a_reason_too(error: HandlerError, reason: str) -> None:
    assert outcome_of_raising(error).reason == reason


def test_what_was_not_expected_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    outcome_of_raising(ValueError("no net"))
    assert caplog.messages == ["The handler raised ValueError"]
    assert "Traceback" in caplog.text
    caplog.clear()
    outcome_of_raising(HandlerError("no net"))
    assert "Traceback" not in caplog.text


@pytest.mark.law(4)
def test_a_handler_that_recurses_for_ever_is_an_error() -> None:
    def handler(task: Any, context: Any) -> Any:
        return handler(task, context)

    assert call_handler(handler, TASK, context()).status is RunStatus.ERROR


def test_a_handler_is_told_its_task_and_its_circumstances() -> None:
    told: list[object] = []
    around = context()
    assert run_in_thread(lambda *what: told.extend(what), TASK, around).status is RunStatus.EXECUTED
    assert told == [TASK, around]


def test_inline_the_call_is_over_when_it_returns() -> None:
    outcome = run_inline(lambda task, context: {"n": 1}, TASK, context())
    released: list[bool] = []
    outcome.when_over(lambda: released.append(True))
    assert outcome.result == '{"n": 1}'
    assert released == [True]


def test_in_a_thread_the_result_is_the_same() -> None:
    threads: list[threading.Thread] = []

    def handler(task: object, context: object) -> dict[str, int]:
        threads.append(threading.current_thread())
        return {"n": 1}

    outcome = run_in_thread(handler, TASK, context())
    assert outcome == Outcome(RunStatus.EXECUTED, result='{"n": 1}')
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


@pytest.mark.law(4)
def test_what_a_handler_sets_for_its_thread_does_not_meet_the_next_one() -> None:
    found: list[tuple[int, int, set[int]]] = []

    def handler(task: object, context: object) -> None:
        blocked = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])}
        found.append((threading.get_ident(), decimal.getcontext().prec, blocked))
        decimal.getcontext().prec = 3

    threads = Threads()
    for _ in range(50):
        threads(handler, TASK, context())
    assert len({thread for thread, _, _ in found}) < 50, "a thread has made several calls"
    assert {precision for _, precision, _ in found} == {decimal.DefaultContext.prec}
    assert not [blocked for _, _, blocked in found if signal.SIGTERM in blocked]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.mark.law(4)
def test_a_handler_that_outlives_its_time_limit_is_a_timeout_that_lingers(gate: Gate) -> None:
    around = context(SOON)
    outcome = run_in_thread(gate, TASK, around)
    assert outcome.status is RunStatus.TIMEOUT
    assert outcome.lingers
    assert str(outcome.reason).startswith("no end after 0.03s; its thread cannot be killed")
    assert around.cancelled.is_set()


@pytest.mark.law(2)
def test_release_comes_when_the_thread_has_ended_and_not_before(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    outcome = run_in_thread(gate, TASK, context(SOON))
    released = threading.Event()
    outcome.when_over(released.set)
    assert not released.is_set()
    gate.opened.set()
    assert released.wait(PATIENCE)
    assert outcome.status is RunStatus.TIMEOUT  # what it gave back at last changes nothing
    assert caplog.messages == ["The handler has ended at last, beyond its time limit"]


def test_whoever_has_given_a_call_up_is_not_told_that_it_has_returned(gate: Gate) -> None:
    told: list[bool] = []
    outcome = Threads().start(gate, TASK, context(timedelta(0)), lambda: told.append(True)).outcome()
    assert outcome is not None
    released = threading.Event()
    outcome.when_over(released.set)
    gate.opened.set()
    assert released.wait(PATIENCE)
    assert told == []


def test_a_handler_that_is_told_to_stop_is_not_given_up_at_once(gate: Gate) -> None:
    around, over = context(), threading.Event()
    call = Threads().start(gate, TASK, around, over.set)
    around.cancelled.set()
    assert call.outcome() is None
    gate.opened.set()
    assert over.wait(PATIENCE)
    assert call.outcome() == Outcome(RunStatus.EXECUTED)


@pytest.mark.parametrize(("limit", "seconds"), [(0, 0.0), (PATIENCE, 0.25)])
def test_a_call_is_looked_at_when_its_time_is_over_and_often_before(gate: Gate, limit: float, seconds: float) -> None:
    call = Threads().start(gate, TASK, context(timedelta(seconds=limit)), lambda: None)
    assert call.look_in() == seconds


@pytest.mark.law(2)
def test_release_comes_at_once_where_the_thread_has_ended_meanwhile(gate: Gate) -> None:
    outcome = run_in_thread(gate, TASK, context(SOON))
    ended = threading.Event()
    outcome.when_over(ended.set)
    gate.opened.set()
    assert ended.wait(PATIENCE)
    released = threading.Event()
    outcome.when_over(released.set)
    assert released.is_set()


@pytest.mark.law(2)
@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), ValueError()])
def test_a_late_handler_that_raises_is_released_too(gate: Gate, error: BaseException) -> None:
    def handler(task: object, context: object) -> None:
        gate()
        raise error

    outcome = run_in_thread(handler, TASK, context(SOON))
    released = threading.Event()
    outcome.when_over(released.set)
    gate.opened.set()
    assert released.wait(PATIENCE)


def test_a_handler_that_heeds_its_flag_may_take_its_grace() -> None:
    class Polite:
        grace = timedelta(seconds=PATIENCE)

        def __call__(self, task: object, context: HandlerContext) -> None:
            assert not context.cancelled.wait(2 * SOON.total_seconds())
            raise HandlerTimeoutError("stopped by itself")

    outcome = run_in_thread(Polite(), TASK, context(SOON))
    assert (outcome.status, outcome.lingers, outcome.reason) == (RunStatus.TIMEOUT, False, "stopped by itself")


def test_the_grace_is_asked_when_the_time_is_over() -> None:
    """An installed handler is imported, and so has its grace, only once it is called."""

    class ImportedLate:
        grace = timedelta(0)

        def __call__(self, task: object, context: HandlerContext) -> None:
            self.grace = timedelta(seconds=PATIENCE)
            context.cancelled.wait(2 * SOON.total_seconds())

    assert run_in_thread(ImportedLate(), TASK, context(SOON)).status is RunStatus.EXECUTED


def test_the_grace_begins_at_the_very_instant_of_the_limit(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    class Polite:
        grace = timedelta(seconds=PATIENCE)

        def __call__(self, task: object, context: HandlerContext) -> None:
            gate()

    monkeypatch.setattr("jarvis_trio.engine.runner.time", SimpleNamespace(monotonic=lambda: 0.0))
    call = Threads().start(Polite(), TASK, context(timedelta(0)), lambda: None)
    assert call.outcome() is None


@pytest.mark.law(4)
@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(seconds=-2), timedelta.min])
def test_law_4_a_grace_below_nothing_is_none(gate: Gate, grace: timedelta) -> None:
    class Hangs:
        def __init__(self) -> None:
            self.grace = grace

        def __call__(self, task: object, context: object) -> None:
            gate.opened.wait(PATIENCE)

    outcome = run_in_thread(Hangs(), TASK, context(SOON))
    assert outcome.status is RunStatus.TIMEOUT


def test_a_grace_that_is_no_duration_is_none(gate: Gate) -> None:
    class Confused:
        grace = 5

        def __call__(self, task: object, context: HandlerContext) -> None:
            gate()

    assert run_in_thread(Confused(), TASK, context(SOON)).status is RunStatus.TIMEOUT
    gate.opened.set()


@pytest.mark.law(4)
def test_without_threads_the_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    outcome = Threads()(lambda task, context: None, TASK, context())  # of which none is idle
    assert (outcome.status, "thread" in str(outcome.reason)) == (RunStatus.ERROR, True)


@pytest.mark.law(4)
def test_a_handler_may_close_the_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert outcome_of_raising(ValueError()).status is RunStatus.ERROR


@pytest.mark.parametrize("text", ["{not JSON", '{"status": "error"', "{" * 5000])
def test_a_text_that_only_begins_like_json_is_a_result(text: str) -> None:
    outcome = outcome_of(text)
    assert (outcome.status, outcome.reason) == (RunStatus.EXECUTED, None)


FORKING = """
import logging, os
from datetime import UTC, datetime, timedelta
from jarvis_trio.models import HandlerContext
from jarvis_trio.engine.runner import run_in_thread

def status():
    now = datetime.now(UTC)
    context = HandlerContext(None, now, 1, now, timedelta(seconds=2), logging.getLogger("a.task"))
    return run_in_thread(lambda task, context: "done", None, context).status

print(status(), flush=True)
if child := os.fork():
    os.waitpid(child, 0)
else:
    print(status(), flush=True)
    os._exit(0)
"""


@pytest.mark.law(4)
def test_law_4_a_forked_process_waits_for_no_thread_of_its_parent() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], cwd=CHECKOUT, capture_output=True, text=True, timeout=180
    )
    assert (done.stdout.split(), done.stderr) == (["executed", "executed"], "")


def test_a_handler_that_has_nothing_for_its_task_is_skipped_with_its_reason() -> None:
    outcome = outcome_of_raising(HandlerSkippedError("knowledge_lint is not yet implemented"))
    assert outcome == Outcome(RunStatus.SKIPPED, reason="knowledge_lint is not yet implemented")
