"""Tests of the process that ends commands whose daemon is dead or silent."""

from __future__ import annotations

import os
from datetime import timedelta

from jarvis_trio.handlers.guard import watch
from tests.support.cli_world import eventually
from tests.support.core_fakes import finish, in_thread

LONG = timedelta(hours=1)


class Daemon:
    """The daemon's end of the pipe, and what the guard has ended."""

    def __init__(self) -> None:
        self.reading, self._writing = os.pipe()
        self.ended: list[str] = []

    def guarded(self, silence: timedelta = LONG) -> None:
        self._thread = in_thread(lambda: watch(self.reading, silence, self.ended.append))

    def says(self, *lines: str) -> None:
        os.write(self._writing, "".join(f"{line}\n" for line in lines).encode())

    def dies(self) -> None:
        os.close(self._writing)
        finish(self._thread)
        os.close(self.reading)


def test_the_runs_of_a_daemon_that_dies_are_ended() -> None:
    daemon = Daemon()
    daemon.guarded()
    daemon.says("+12", "+13", ".", "-12")
    assert daemon.ended == []
    daemon.dies()
    assert daemon.ended == ["13"]


def test_the_runs_of_a_silent_daemon_are_ended() -> None:
    daemon = Daemon()
    daemon.guarded(timedelta(seconds=0.2))
    daemon.says("+12")
    eventually(lambda: daemon.ended == ["12"])
    daemon.dies()
    assert daemon.ended == ["12"]
