"""Processes on several machines that share one database: who lives, and who must stop (laws 2, 3).

Guarantees:

- A run that only one machine may make is declared dead by that machine alone, or by a person
  (`machines forget`). A laptop with its lid closed never finds such work done twice.
- Any other run is declared dead by another machine only when its process has been without its lock
  on the server for `lost_after`. By then that process has ended the run's command: it does so when
  the server has not answered it for `fenced_after`, and starts no such run meanwhile.
- No two machines have the same name.

This code assumes that each machine keeps its data folder, which holds its identity; that nobody
sets the server's clock while machines are cut off; and that a command can be killed. A Python
handler cannot: it is told to stop, and that is all.

The races that it is made for:

1. A daemon is killed during a run. The next tick on its machine sees that its process is gone, ends
   what is left of the command, and has the slot run again. If there is no next tick, the guard has
   ended the command, and another machine takes the run over if it may.
2. A machine is cut off during a run, for less than `fenced_after`. Its command runs on; its outcome
   is kept and written when the connection is back.
3. It is cut off for longer. What only it may run goes on as before. The rest is ended, and
   its slot runs again elsewhere, or here if the connection is back first.
4. A confirmation is on its way as the connection breaks. The fence counts from the moment before
   it was asked for, the other machines from a moment after it was given: never the other way round.
5. The server restarts. All locks are gone at once; the others count from when they first see
   that, and each process has its lock again seconds later.
6. The claim of a run is committed so late that the process is cut off by then. `begin` says no, and
   the run ends as interrupted before its command has started.
7. A machine never comes back. A person says so on another machine, and that machine interrupts
   the runs of the lost one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jarvis_trio.engine.fence import FenceTimes, Keeper
from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.handlers.guard import Guard
from jarvis_trio.models import Claim, HandlerContext, Outcome, Run, RunStatus
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.machines import ANY_TYPE, Machine
from jarvis_trio.store.places import place_of

CHECKS_IN_EVERY = timedelta(seconds=30)
"""How often a machine says what it takes: a write each time."""

_NOBODYS_TYPE = "nobody-has-named-a-handler-so"


class SharedPeers(Peers):
    """This process among those of several machines.

    Args:
        store: the database that they share.
        machine: this machine, as it checks in.
        local: this process among those of this machine.
        keeper: keeps this process known as there; None if it makes no runs that others may make.
        times: when another process counts as gone.
    """

    def __init__(
        self, store: MemoryStore, machine: Machine, local: Peers, keeper: Keeper | None, times: FenceTimes
    ) -> None:
        super().__init__(f"{machine.name}/{local.owner}", self._lives, self._end_orphans_here)
        self._store = store
        self._machine = machine
        self._local = local
        self._keeper = keeper
        self._times = times
        self._checked_in_at: datetime | None = None
        self._look_at: datetime | None = None

    @property
    def may_share(self) -> bool:
        return self._keeper is None or self._keeper.is_in_touch

    @property
    def look_at(self) -> datetime | None:
        return self._look_at

    def check_in(self, now: datetime, handlers: Collection[str]) -> None:
        self._local.check_in(now, handlers)
        self._look_at = None
        last = self._checked_in_at
        if last is None or abs(now - last) >= CHECKS_IN_EVERY:
            self._store.machines.check_in(
                self._machine.name,
                self._machine.identity,
                now,
                labels=self._machine.labels,
                takes_any=self._machine.takes_any,
                handlers=_types(handlers),
            )
            self._checked_in_at = now
        if self._keeper is not None:
            self._keeper.start()

    def keep(self) -> None:
        self._local.keep()

    def is_gone(self, run: Run) -> bool:
        at, process = _split(run.owner)
        if at == self._machine.name:
            return not self._local.is_alive(process)
        if run.owner is None or run.place == at:
            return False
        return self._is_lost(run.owner)

    def _is_lost(self, owner: str) -> bool:
        """Whether another machine's process has been without its lock for long enough."""
        since = self._store.machines.lost_since(owner)
        now = self._store.clock.now()
        over_at = (now if since is None else since) + self._times.lost_after
        if since is not None and over_at <= now:
            return True
        look_at = over_at if since is not None else now + self._times.lost_after / 4
        self._look_at = min(filter(None, (self._look_at, look_at)))
        return False

    def why_gone(self, run: Run) -> str:
        at, _ = _split(run.owner)
        if at == self._machine.name:
            return super().why_gone(run)
        return f"{at}, which ran it, was not heard of for {duration_text(self._times.lost_after)}"

    def settled(self) -> None:
        self._store.machines.forget_lost()

    def others_have(self, handler_type: str, place: str | None) -> bool:
        return any(
            machine.name != self._machine.name and machine.may_take(place) and machine.has_handler(handler_type)
            for machine in self._store.machines.list_machines()
        )

    def begin(self, claim: Claim, context: HandlerContext) -> Outcome | None:
        if self._keeper is None or self._is_bound(claim) or self._keeper.begin(claim.run_id, context.cancelled):
            return None
        self._keeper.end(claim.run_id)
        return self._cut_off("before it started")

    def end(self, claim: Claim, outcome: Outcome) -> Outcome:
        if self._keeper is None or self._is_bound(claim):
            return outcome
        fenced = self._keeper.end(claim.run_id)
        if not fenced or outcome.status is RunStatus.EXECUTED:
            return outcome
        cut_off = self._cut_off("")
        return replace(outcome, status=cut_off.status, reason=cut_off.reason, cut_off=True)

    def _cut_off(self, when: str) -> Outcome:
        allowed = duration_text(self._times.fenced_after)
        reason = f"{self._machine.name} was cut off from the database for {allowed} {when}".rstrip()
        return Outcome(RunStatus.INTERRUPTED, reason=reason, cut_off=True)

    def _is_bound(self, claim: Claim) -> bool:
        return place_of(claim.task, self._store.here) == self._machine.name

    def _lives(self, owner: str | None) -> bool:
        at, process = _split(owner)
        return at != self._machine.name or self._local.is_alive(process)

    def _end_orphans_here(self, owner: str) -> Sequence[Survivor]:
        at, process = _split(owner)
        return self._local.end_orphans(process) if at == self._machine.name else ()

    def close(self) -> None:
        if self._keeper is not None:
            self._keeper.close()


def shared_peers(
    store: MemoryStore, identity: str, local: Peers | None = None, *, guarded: bool = False
) -> SharedPeers:
    """This process among those of several machines; `close` it in the end.

    Args:
        store: the database that they share, which knows which of them this is.
        identity: what tells this machine from another one of its name.
        local: this process among those of this machine.
        guarded: whether another process ends its commands should it be killed.
    """
    assert store.here is not None, "the database is not shared"
    local, times, here = local or Peers(), FenceTimes.of(store), store.here
    presence = store.connection.hold(f"{here.name}/{local.owner}", here.name, times.beat)
    guard = Guard(local.owner, times.guarded_after) if guarded else None
    keeper = None if presence is None else Keeper(presence, times, store.clock.monotonic, guard)
    machine = Machine(here.name, identity, store.clock.now(), here.labels, here.takes_any)
    return SharedPeers(store, machine, local, keeper, times)


class Forgotten(Peers):
    """A process to which one machine is gone for good, and all others live."""

    def __init__(self, machine: str) -> None:
        super().__init__("nobody", lambda owner: _split(owner)[0] != machine, lambda owner: ())

    def why_gone(self, run: Run) -> str:
        return f"{_split(run.owner)[0]}, which ran it, was given up"


def _types(handlers: Collection[str]) -> Iterator[str]:
    """The types to tell the other machines of. An application has no list: it is asked."""
    yield from handlers
    if _NOBODYS_TYPE in handlers:
        yield ANY_TYPE


def _split(owner: str | None) -> tuple[str, str]:
    """The machine in an owner's text, and the process on it."""
    at, _, process = (owner or "").partition("/")
    return at, process
