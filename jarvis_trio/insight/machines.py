"""Which of the machines that share a database are there, and for which of them a task waits.

Reads, and never writes. A database that is one machine's alone has none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import duration_words, joined, relative, with_name
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.machines import Machine
from jarvis_trio.store.places import named_place

AWAY_AFTER = timedelta(minutes=1)
"""A daemon is seen every few seconds; without that for this long its machine is told of as away."""

CLOCK_SLACK = timedelta(minutes=1)
"""How far a machine's own clock may be off before people are told."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """A machine as it stands at `now` (aware UTC)."""

    machine: Machine
    now: datetime

    @property
    def name(self) -> str:
        """Its name."""
        return self.machine.name

    @property
    def away(self) -> bool:
        """Whether no daemon of it has been seen for some time."""
        return self.now - self.machine.seen_at > AWAY_AFTER

    @property
    def seen(self) -> str:
        """When it was last seen: `12 s ago`."""
        return relative(min(self.machine.seen_at, self.now), self.now)

    @property
    def clock_words(self) -> str:
        """How its own clock is off: `its clock is 2 hours ahead`; empty if it is not."""
        off = self.machine.clock_ahead
        if off is None or abs(off) <= CLOCK_SLACK:
            return ""
        return f"its clock is {duration_words(abs(off))} {'ahead' if off > timedelta(0) else 'behind'}"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why no machine runs a task at present, as a clause; `fix` is empty if only time helps."""

    says: str
    fix: str = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.says, self.fix)))


def machine_states(store: MemoryStore, now: datetime) -> list[MachineState]:
    """All machines by name; none if the database is one machine's alone."""
    if store.machine is None:
        return []
    return [MachineState(machine, now) for machine in store.machines.list_machines()]


def takers(states: Sequence[MachineState], task: ScheduledTask) -> list[MachineState]:
    """The machines that may run a task, there or away."""
    place = _place(task)
    return [state for state in states if state.machine.may_take(place)]


def why_it_waits(states: Sequence[MachineState], task: ScheduledTask) -> Wait | None:
    """Why no machine runs a task at present; None if one can, or if there are no machines."""
    if not states:
        return None
    able = takers(states, task)
    if not able:
        place = _place(task)
        lacks = "takes what may run anywhere" if place is None else f"is named {place} or has that label"
        return Wait(f"no machine {lacks}", with_name("to give it one: jarvis-trio edit {} --on MACHINE", task.name))
    there = [state for state in able if not state.away]
    if not there:
        last = max(able, key=lambda state: state.machine.seen_at)
        return Wait(f"it waits for {' or '.join(state.name for state in able)}, last seen {last.seen}")
    # A machine that says nothing of its handlers is an older one.
    if all(state.machine.handlers and not state.machine.has_handler(task.handler_type) for state in there):
        return Wait(f"no handler of type {task.handler_type} on {joined([state.name for state in there])}")
    return None


def _place(task: ScheduledTask) -> str | None:
    """The machine or label where a task is to run; None for anywhere, or if nobody can tell."""
    try:
        return named_place(task.policy)
    except ScheduleError:
        return None
