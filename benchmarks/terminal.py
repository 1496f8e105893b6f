"""Commands whose output is a terminal, as a person calls them."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from benchmarks.environments import Environment
from benchmarks.results import Series
from benchmarks.running import Process, environ


def seconds_on_terminal(command: Sequence[str], data_dir: str, environment: Environment = Environment.OWN) -> float:
    """Seconds for a command whose output is a terminal, which a thread reads."""
    ours, theirs = os.openpty()
    reader = threading.Thread(target=_read_all, args=(ours,))
    reader.start()
    try:
        env = environ(environment, JARVIS_DATA_DIR=data_dir, TERM="xterm-256color")
        return Process(command, env, terminal=theirs).end().seconds
    finally:
        os.close(theirs)  # which ends the reader
        reader.join()
        os.close(ours)


def floor(rounds: int) -> Series:
    """What `rounds` interpreters take that do nothing."""
    seconds = [seconds_on_terminal([Environment.OWN.python, "-c", "pass"], "") for _ in range(rounds)]
    return Series("python -c pass", tuple(seconds), "an interpreter that does nothing")


def _read_all(terminal: int) -> None:
    """Read until nobody has the other side open, which Linux tells by an error and macOS by an end."""
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:
        pass
