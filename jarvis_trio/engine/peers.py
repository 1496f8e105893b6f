"""The processes that share a database: this one, and what it knows of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from jarvis_trio.process.identity import Processes, current_owner
from jarvis_trio.process.owners import OwnerLocks

LOCKS = "jarvis-owners.lock"
"""The file beside the database in which each process locks a byte while it lives."""


def end_orphans(owner: str) -> None:
    """End what a dead process has left of its commands."""
    from jarvis_trio.handlers import processes  # noqa: PLC0415  # psutil: 20 ms, needed only if a process has died

    processes.end_orphans(owner)


def stay(now: datetime) -> None:
    """Nobody asks whether this process is still there."""


@dataclass(frozen=True, slots=True)
class Peers:
    """This process among all that share the database.

    Args:
        owner: the text that tells this process from all others.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands.
        check_in: told of each tick; if machines share the database, it says that this one lives.
    """

    owner: str = field(default_factory=current_owner)
    is_alive: Callable[[str | None], bool] = field(default_factory=lambda: Processes().is_alive)
    end_orphans: Callable[[str], object] = end_orphans
    check_in: Callable[[datetime], None] = stay

    @classmethod
    def beside(cls, database: Path) -> Self:
        """This process; a lock in a file beside the database proves to the others that it lives."""
        locks = OwnerLocks(database.with_name(LOCKS))
        owner = current_owner()
        locks.hold(owner)
        return cls(owner, Processes(locks).is_alive)
