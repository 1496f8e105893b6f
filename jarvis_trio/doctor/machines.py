"""Checks of the machines that share a database: who is away, who differs, and what nobody takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from jarvis_trio.doctor.findings import Finding, warning
from jarvis_trio.insight.machines import MachineState, Wait, takers, why_it_waits
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import counted, joined, with_name

_BACK = "start its daemon; or, if it never comes back: jarvis-trio machines forget {}"
_CLOCK = "set its clock, best by network time (NTP): tasks go by the database's, but its log and its shell do not"


def check_machines(states: Sequence[MachineState], tasks: Iterable[ScheduledTask]) -> Iterator[Finding]:
    """How each machine stands, and which tasks no machine runs at present."""
    waiting = [(task, wait) for task in tasks if (wait := why_it_waits(states, task))]
    yield from _of_each(states, waiting)
    yield from _versions(states)
    for task, wait in waiting:
        if wait.fix or not all(state.away for state in takers(states, task)):  # those are told of by machine
            yield warning("machines", f"{task.name}: {wait.says}", wait.fix or _another_place(task))


def _of_each(states: Sequence[MachineState], waiting: Sequence[tuple[ScheduledTask, Wait]]) -> Iterator[Finding]:
    if not states:
        yield warning("machines", "no machine has checked in yet", "start a daemon on one: jarvis-trio run")
    for state in states:
        if state.away:
            count = sum(state in takers([state], task) for task, _ in waiting)
            waits = f"; {counted(count, 'task')} {'waits' if count == 1 else 'wait'} for it" if count else ""
            says = f"{state.name} is away, last seen {state.seen}{waits}"
            yield warning("machines", says, _BACK.format(state.name)) if count else Finding("machines", says)
        else:
            yield Finding("machines", f"{state.name}, seen {state.seen}")
        if state.clock_words:
            yield warning("machines", f"{state.name}: {state.clock_words} of the database's", _CLOCK)


def _versions(states: Sequence[MachineState]) -> Iterator[Finding]:
    versions = Counter(state.machine.version or "unknown" for state in states)
    if len(versions) > 1:
        each = [f"{state.name} has {state.machine.version or 'an older one'}" for state in states]
        says = f"the machines have different versions: {joined(each, most=6)}"
        yield warning("machines", says, "upgrade the older ones: make upgrade")


def _another_place(task: ScheduledTask) -> str:
    return with_name("install the package that brings it there, or: jarvis-trio edit {} --on MACHINE", task.name)
