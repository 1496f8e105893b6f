"""Why a task ran, did not run, or will run: gathers what is known. Reads, and never writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jarvis_trio.errors import ScheduleError
from jarvis_trio.insight.answers import Case, Verdict, as_it_stands, at_moment
from jarvis_trio.insight.machines import MachineState, machine_states, why_it_waits
from jarvis_trio.models import ASIDE, WAITING, Run, RunStatus, ScheduledTask, Trigger, require_id
from jarvis_trio.notation.text import printable
from jarvis_trio.process.identity import owner_machine
from jarvis_trio.schedules.firing import Firing, Moment, moment_of
from jarvis_trio.schedules.kind import Schedule
from jarvis_trio.schedules.schedule import is_over, stored_next_run, task_schedule, task_zone
from jarvis_trio.store import MemoryStore


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the task runs, or does not, at one minute.

    Attributes:
        moment: the minute that was asked about.
        verdict: the answer in a word or two.
        answer: the answer in one sentence.
        firing: what the schedule, as it is now, says about the minute.
        runs: the rows of the history that the answer rests on, the oldest first.
        notes: further sentences.
        around: the last rows of the slots before and after, by slot.
    """

    moment: Moment
    verdict: Verdict
    answer: str
    firing: Firing
    runs: tuple[Run, ...]
    notes: tuple[str, ...]
    around: Mapping[datetime, Run]


def explain(
    store: MemoryStore, task: ScheduledTask, at: datetime | None, now: datetime, *, daemon_runs: bool | None
) -> Explanation:
    """Why `task` runs, or does not, in the minute of `at`; without `at`, how it stands now.

    Args:
        store: the database, which is only read.
        task: the task, as stored.
        at: aware, or naive for local time in the task's zone.
        now: the present (aware UTC).
        daemon_runs: whether a daemon is running; None if nobody knows.

    Raises ScheduleError for a time out of range, StoreError.
    """
    case = case_at(store, task, at or now, now, daemon_runs)
    answer = as_it_stands(case) if at is None else at_moment(case)
    firing = case.firing
    return Explanation(
        moment=case.moment,
        verdict=answer.verdict,
        answer=f"{printable(task.name)} {answer.sentence}.",
        firing=firing,
        runs=tuple(answer.runs),
        notes=tuple(filter(None, (*answer.notes, firing.note if at else ""))),
        around={run.scheduled_for: run for run in case.runs if run.scheduled_for in (firing.before, firing.after)},
    )


def case_at(store: MemoryStore, task: ScheduledTask, at: datetime, now: datetime, daemon_runs: bool | None) -> Case:
    """What is known about a task and the minute of `at`; arguments and errors as for `explain`."""
    machine_zone = store.clock.zone()
    next_run, runs = stored_next_run(task, machine_zone), store.runs.list_runs(task=task.name)[::-1]
    schedule: Schedule | None = None
    try:
        schedule, zone = task_schedule(task, machine_zone), task_zone(task, machine_zone)
    except ScheduleError as error:
        moment = moment_of(at, machine_zone)
        firing = Firing(None, f"its schedule cannot be understood: {printable(str(error))}", None, None)
    else:
        moment = moment_of(at, zone)
        firing = schedule.firing(moment, next_run=next_run, known_since=known_since(schedule, runs))

    states = machine_states(store, now)
    troubles = {trouble.kind: trouble.reason for trouble in store.troubles.list_troubles(require_id(task))}

    def anything_ran(start: datetime, end: datetime) -> bool:
        return any(run.started_at < end for run in store.runs.list_runs(since=start))

    return Case(
        task=task,
        schedule=schedule,
        moment=moment,
        firing=firing,
        now=now,
        next_run=next_run,
        runs=runs,
        set_aside=next((troubles[kind] for kind in troubles if kind in ASIDE), None),
        trouble=next((troubles[kind] for kind in troubles if kind in WAITING), None),
        daemon_runs=None if states else daemon_runs,
        anything_ran=anything_ran,
        waits=str(why_it_waits(states, task) or ""),
        away=_away(states, runs),
        is_over=is_over(task, machine_zone, store.runs.is_slot_over),
    )


def _away(states: Sequence[MachineState], runs: Sequence[Run]) -> str:
    """Where the task runs just now, if that machine is away."""
    at = {owner_machine(run.owner) for run in runs if run.status is RunStatus.RUNNING}
    return next((f"{state.name}, last seen {state.seen}" for state in states if state.away and state.name in at), "")


def known_since(schedule: Schedule, runs: Sequence[Run]) -> datetime | None:
    """The first slot of an interval in the history; the oldest row may stand for earlier ones."""
    slots = [run for run in runs if run.trigger is Trigger.SCHEDULE]
    return schedule.back_from(slots[0].scheduled_for, slots[0].collapsed) if slots else None
