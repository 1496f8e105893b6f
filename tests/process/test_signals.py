"""Tests of the signals of a process that runs tasks: before its event loop and after it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from jarvis_trio.process.signals import ENDING, ENDING_A_COMMAND, HeldSignals, finishing

pytestmark = pytest.mark.law(1)


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    numbers = (*ENDING, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_comes_too_early_is_kept(number: signal.Signals) -> None:
    stops: list[str] = []
    with HeldSignals() as signals:
        os.kill(os.getpid(), number)
        signals.hand_over(stops.append)
        assert stops == [number.name]


def test_a_later_one_stops_at_once() -> None:
    stops: list[str] = []
    with HeldSignals() as signals:
        signals.hand_over(stops.append)
        assert stops == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert stops == ["SIGTERM"]


@pytest.mark.parametrize("number", ENDING)
def test_one_that_comes_too_late_changes_nothing(number: signal.Signals) -> None:
    with HeldSignals() as signals:
        signals.hand_over(lambda name: pytest.fail("it had ended"))
    os.kill(os.getpid(), number)


def test_sighup_ends_nobody() -> None:
    with HeldSignals():
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


@pytest.mark.parametrize("number", ENDING_A_COMMAND)
def test_in_a_command_the_first_signal_stops_and_the_second_interrupts(number: signal.Signals) -> None:
    stops: list[str] = []
    before = signal.getsignal(number)
    with finishing(stops.append):
        os.kill(os.getpid(), number)
        assert stops == [number.name]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert stops == [number.name]
    assert signal.getsignal(number) is before
