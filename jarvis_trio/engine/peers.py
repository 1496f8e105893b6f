"""The processes that share a database: this one, and what it knows of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

from jarvis_trio.models import Run
from jarvis_trio.process.identity import Processes, current_owner
from jarvis_trio.process.owners import OwnerLocks

LOCKS = "jarvis-owners.lock"
"""The file beside the database in which each process locks a byte while it lives."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A process that a dead one has left, and that could not be ended.

    Attributes:
        pid: its number.
        run_id: the run that it belongs to; None if that cannot be seen, so it can be any of them.
        is_alive: whether it is still there.
    """

    pid: int
    run_id: int | None
    is_alive: Callable[[], bool]

    def holds(self, run: Run) -> bool:
        """Whether it may be a part of that run of its dead process."""
        return self.run_id in (None, run.id)


def end_orphans(owner: str) -> Sequence[Survivor]:
    """End what a dead process has left of its commands. Returns what could not be ended."""
    from jarvis_trio.handlers import processes  # noqa: PLC0415  # psutil: 20 ms, needed only if a process has died
    from jarvis_trio.handlers.family import is_alive  # noqa: PLC0415  # as above

    survivors = []
    for process in processes.end_orphans(owner).survivors:
        mark = processes.mark_of(process, owner) or ""
        run_id = int(mark) if mark.isdecimal() else None
        survivors.append(Survivor(process.pid, run_id, partial(is_alive, process)))
    return survivors


def stay(now: datetime) -> None:
    """Nobody asks whether this process is still there."""


@dataclass(frozen=True, slots=True)
class Peers:
    """This process among all that share the database.

    Args:
        owner: the text that tells this process from all others.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands, and
            returns what it could not end.
        check_in: told of each tick; if machines share the database, it says that this one lives.
    """

    owner: str = field(default_factory=current_owner)
    is_alive: Callable[[str | None], bool] = field(default_factory=lambda: Processes().is_alive)
    end_orphans: Callable[[str], Sequence[Survivor]] = end_orphans
    check_in: Callable[[datetime], None] = stay

    @classmethod
    def beside(cls, database: Path) -> Self:
        """This process; a lock in a file beside the database proves to the others that it lives."""
        locks = OwnerLocks(database.with_name(LOCKS))
        owner = current_owner()
        locks.hold(owner)
        return cls(owner, Processes(locks).is_alive)
