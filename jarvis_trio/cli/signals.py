"""What a signal does to a command that runs tasks in its own process (law 1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jarvis_trio.process.signals import finishing

if TYPE_CHECKING:  # 30 ms, which `run-now` need not pay if a daemon runs
    from jarvis_trio.engine import SchedulerEngine

_logger = logging.getLogger(__name__)


@contextmanager
def finishing_what_runs(engine: SchedulerEngine) -> Iterator[None]:
    """Within the block, a first signal lets what runs finish, and nothing else begins.

    A second signal raises KeyboardInterrupt.
    """

    def finish(name: str) -> None:
        engine.wind_down()
        _logger.info("%s: waiting for what runs; once more to stop it", name)

    with finishing(finish):
        yield
