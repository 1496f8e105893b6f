"""Processes on several machines that share one database.

Guarantees:

- A run is declared dead by its own machine alone, or by a person (`machines forget`). A laptop with
  its lid closed, or behind a broken network, never finds its work done twice when it comes back.
- Two machines never bear one name.

This code assumes that each machine keeps its data folder, which holds its identity.

The races that it is made for:

1. A daemon is killed amid a run. The next tick on its machine sees that its process is gone, ends
   what is left of the command, and has the slot run again. Other machines see a live run meanwhile.
2. A machine is cut off from the database amid a run. Its command runs on; its outcome is kept and
   written when the connection is back. Other machines leave that task alone.
3. A machine never comes back. A person says so on another machine, and that machine interrupts
   the runs of the lost one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.store import MemoryStore

CHECKS_IN_EVERY = timedelta(seconds=30)
"""How often a machine says that it is there: often enough for people, and a write each time."""


def shared_peers(store: MemoryStore, machine: str, identity: str, local: Peers | None = None) -> Peers:
    """This process among those of several machines.

    Args:
        store: the database that they share.
        machine: this machine's name.
        identity: what tells it from another one of that name.
        local: this process among those of this machine.
    """
    local = local or Peers()
    is_alive_here, end_orphans_here = local.is_alive, local.end_orphans
    checked_in: list[datetime] = []

    def check_in(now: datetime) -> None:
        if not checked_in or abs(now - checked_in[-1]) >= CHECKS_IN_EVERY:
            store.machines.check_in(machine, identity, now)
            checked_in[:] = [now]

    def is_alive(owner: str | None) -> bool:
        at, process = _split(owner)
        return at != machine or is_alive_here(process)

    def end_orphans(owner: str) -> Sequence[Survivor]:
        at, process = _split(owner)
        return end_orphans_here(process) if at == machine else ()

    return Peers(f"{machine}/{local.owner}", is_alive, end_orphans, check_in)


def forgotten(machine: str) -> Peers:
    """A process to which that machine is gone for good, and all others live."""
    return Peers(
        owner="nobody",
        is_alive=lambda owner: _split(owner)[0] != machine,
        end_orphans=lambda owner: (),
    )


def _split(owner: str | None) -> tuple[str, str]:
    """The machine in an owner's text, and the process on it."""
    at, _, process = (owner or "").partition("/")
    return at, process
