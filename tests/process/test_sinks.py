"""Tests of the threads that write the log: whoever logs never waits (laws 1 and 4)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jarvis_trio.process.sinks import Sink, StreamTarget
from tests.support.core_fakes import PATIENCE

pytestmark = pytest.mark.law(4)


class Stopped:
    """A target that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        assert self.let_go.wait(PATIENCE)
        self.texts.append(text)

    def close(self) -> None:
        self.texts.append("closed")


@pytest.fixture
def target() -> Iterator[Stopped]:
    target = Stopped()
    yield target
    target.let_go.set()


def test_nobody_waits_for_a_target_that_takes_nothing(target: Stopped) -> None:
    sink = Sink(target, str)
    began = time.monotonic()
    for _ in range(1000):
        sink.put("text")
    assert not sink.drain(0.01)
    sink.close(0.01)
    assert time.monotonic() - began < PATIENCE / 2
    target.let_go.set()


def test_what_is_dropped_is_counted_and_told_when_something_can_be_written(target: Stopped) -> None:
    sink = Sink(target, lambda count: f"{count} dropped", most=3)
    for number in range(10):
        sink.put(str(number))
    target.let_go.set()
    assert sink.drain(PATIENCE)
    written = [text for text in target.texts if text.isdecimal()]
    assert written == [str(number) for number in range(len(written))]
    assert [text for text in target.texts if not text.isdecimal()] == [f"{10 - len(written)} dropped"]


def test_texts_are_written_in_their_order_and_the_target_is_closed_after_them(target: Stopped) -> None:
    target.let_go.set()
    sink = Sink(target, str)
    for text in ("one", "two"):
        sink.put(text)
    sink.close(PATIENCE)
    assert target.texts[:2] == ["one", "two"]


def test_a_forked_process_writes_by_itself(target: Stopped) -> None:
    target.let_go.set()
    sink = Sink(target, str)
    child = os.fork()
    if child == 0:
        sink.put("from the child")
        os._exit(0 if target.texts == ["from the child"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_pipe_that_nobody_reads_keeps_one_thread_and_no_caller() -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        sink = Sink(StreamTarget(stream), str)
        for _ in range(100):
            sink.put("x" * 5_000 + "\n")
        assert not sink.drain(0.05)
        while not sink.drain(0.01):
            os.read(reader, 1 << 16)
    os.close(reader)


def test_who_gets_the_number_of_a_closed_stream_gets_none_of_its_lines(tmp_path: Path) -> None:
    stream = (tmp_path / "stderr").open("w")
    target, number = StreamTarget(stream), stream.fileno()
    others = os.open(tmp_path / "others", os.O_CREAT | os.O_WRONLY)
    os.dup2(others, number)  # as if it had been closed, and opened by them
    os.close(others)
    target.write("a line\n")
    stream.close()
    target.close()
    assert ((tmp_path / "stderr").read_text(), (tmp_path / "others").read_text()) == ("a line\n", "")


def test_without_a_thread_for_it_a_sink_writes_by_itself(target: Stopped, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    target.let_go.set()
    with monkeypatch.context() as without_threads:
        without_threads.setattr(threading.Thread, "start", none)
        sink = Sink(target, str)
    sink.put("one")
    assert target.texts == ["one"]
    assert sink.drain(0)
