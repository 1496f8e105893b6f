"""What the tests of the daemon share: an engine that notes its calls, and a run of some seconds."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import trio

from jarvis_trio.daemon import JarvisDaemon


class Bare:
    """An engine with nothing but the one method; notes when it was called on trio's clock."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.times: list[float] = []
        self.threads: set[threading.Thread] = set()

    def evaluate_due_tasks(self) -> Any:
        self.times.append(trio.current_time() if in_trio() else math.nan)
        self.threads.add(threading.current_thread())
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def in_trio() -> bool:
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True


async def run_for(daemon: JarvisDaemon, seconds: float) -> None:
    """Run a daemon for so long, then shut it down."""
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        await trio.sleep(seconds)
        daemon.shutdown()


def raising(error: BaseException) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call
