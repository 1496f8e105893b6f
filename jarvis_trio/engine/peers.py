"""The processes that share a database: this one, and what it knows of the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from jarvis_trio.models import Claim, HandlerContext, Outcome, Run
from jarvis_trio.process.identity import Processes, current_owner, owner_pid
from jarvis_trio.process.owners import OwnerLocks

LOCKS = "jarvis-owners.lock"
"""The file beside the database in which each process locks a byte while it lives."""


class Survivor(NamedTuple):
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


class Peers:
    """This process among all that share the database, all of them on this machine.

    `engine.machines` has those of several machines, which need more of what is here.

    Args:
        owner: the text that tells this process from all others.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands, and
            returns what it could not end.
        locks: what proves to the others that this process lives.
    """

    def __init__(
        self,
        owner: str | None = None,
        is_alive: Callable[[str | None], bool] | None = None,
        end_orphans: Callable[[str], Sequence[Survivor]] = end_orphans,
        *,
        locks: OwnerLocks | None = None,
    ) -> None:
        self.owner = current_owner() if owner is None else owner
        self.is_alive = is_alive or Processes().is_alive
        self.end_orphans = end_orphans
        self._locks = locks

    @classmethod
    def beside(cls, database: Path) -> Self:
        """This process; a lock in a file beside the database proves to the others that it lives.

        Beside the file itself, whatever link leads to it: others may have come by another one.
        """
        locks = OwnerLocks(Path(os.path.realpath(database)).with_name(LOCKS))
        owner = current_owner()
        locks.hold(owner)
        return cls(owner, Processes(locks).is_alive, locks=locks)

    @property
    def may_share(self) -> bool:
        """Whether this process may start what other machines may run as well."""
        return True

    @property
    def look_at(self) -> datetime | None:
        """When to look again whether others are gone (aware UTC); None if the ticks do."""
        return None

    def check_in(self, now: datetime, handlers: Collection[str]) -> None:
        """Told of each tick, and of the handlers here. Raises StoreError if it must not be."""
        self.keep()

    def keep(self) -> None:
        """See that others can tell that this process lives; asked while it waits for its runs, too.

        A `tick` has no other tick in which to notice that its lock was deleted.
        """
        if self._locks is not None:
            self._locks.keep()

    def is_gone(self, run: Run) -> bool:
        """Whether the process that makes a run is gone, so that the run is over."""
        return not self.is_alive(run.owner)

    def why_gone(self, run: Run) -> str:
        """Why a run is over whose process is gone, in words."""
        return f"process {owner_pid(run.owner)}, which ran it, ended before it was done"

    def settled(self) -> None:
        """The runs of those that are gone have been ended."""

    def others_have(self, handler_type: str, place: str | None) -> bool:
        """Whether another machine has that handler, and may run what is to run at `place`."""
        return False

    def begin(self, claim: Claim, context: HandlerContext) -> Outcome | None:
        """A handler is about to be called. Returns how the attempt ends if it must not be."""
        return None

    def end(self, claim: Claim, outcome: Outcome) -> Outcome:
        """The call is over. Returns its outcome, changed if the call was ended from here."""
        return outcome

    def close(self) -> None:
        """This process makes no further runs."""
