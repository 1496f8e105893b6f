"""The answers of `explain`, one sentence each, from what is known about a task and a moment. Pure.

The history tells what happened. If it has no row for a slot, the answer is the reason that the
task's row and the runs around it leave open. Nothing is invented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import FAILED, HELD_REASON, UNRUN, Run, RunStatus, ScheduledTask, Trigger, is_held
from jarvis_trio.notation.instants import parse_stamp, time_between
from jarvis_trio.notation.text import counted, duration_words, moment_words, printable, with_name
from jarvis_trio.policy import task_policy
from jarvis_trio.process.identity import owner_machine
from jarvis_trio.schedules.firing import YEARS, Firing, Moment, moment_of
from jarvis_trio.schedules.kind import Schedule

_LATE = timedelta(minutes=1)


class Verdict(StrEnum):
    """The answer in a word or two."""

    RAN = "ran"
    RUNNING = "running"
    DUE = "due"
    WILL_RUN = "will run"
    DID_NOT_RUN = "did not run"
    WILL_NOT_RUN = "will not run"


@dataclass(frozen=True, slots=True)
class Answer:
    """`sentence` follows the task's name. `runs` are the rows it rests on, the oldest first."""

    verdict: Verdict
    sentence: str
    runs: Sequence[Run] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What is known about a task and a moment.

    Attributes:
        task: as its row says.
        schedule: None if it cannot be understood; then `firing` says why.
        moment: the minute that was asked about.
        firing: what the schedule says about that minute.
        now: the present (aware UTC).
        next_run: the next run in the task's row (aware UTC), if there is one.
        runs: the task's runs, the oldest first.
        set_aside: why the task was set aside, if it was.
        trouble: what is amiss while it stays due and is not started, if anything is.
        daemon_runs: None if nobody knows. It says nothing if several machines share the database.
        waits: why none of several machines can run it at present, as a clause; empty if one can.
        away: the machine where it runs, with when it was last seen, if that machine is away.
        anything_ran: whether a run of any task started in [start, end).
        is_over: whether its only time is over, so that it never runs again.
    """

    task: ScheduledTask
    schedule: Schedule | None
    moment: Moment
    firing: Firing
    now: datetime
    next_run: datetime | None
    runs: Sequence[Run]
    set_aside: str | None
    trouble: str | None
    daemon_runs: bool | None
    anything_ran: Callable[[datetime, datetime], bool]
    waits: str = ""
    away: str = ""
    is_over: bool = False

    @property
    def state(self) -> str | None:
        """What keeps the task from running at all; None if nothing does."""
        if self.set_aside is not None:
            return HELD_REASON if is_held(self.set_aside) else f"set aside ({printable(self.set_aside)})"
        if self.schedule is None:
            return f"not scheduled ({self.firing.why})"
        return None if self.task.enabled else "paused"

    @property
    def obstacle(self) -> str | None:
        """The same as a clause, with the fix."""
        if self.state is None:
            return None
        fix = (
            "`jarvis-trio resume {}` lets it run again"
            if self.state in ("paused", HELD_REASON)
            else "fix it with `jarvis-trio edit {}`"
        )
        return f"it is {self.state}; {with_name(fix, self.task.name)}"

    @property
    def created_at(self) -> datetime | None:
        """When the task was added, if its row says so (aware UTC)."""
        return self._instant(self.task.created_at)

    @property
    def changed_at(self) -> datetime | None:
        """When the task was last changed, if its row says so (aware UTC)."""
        return self._instant(self.task.updated_at)

    def when(self, instant: datetime) -> str:
        """The instant in the task's zone, for people."""
        return moment_words(instant, self.moment.zone)

    def _instant(self, text: str | None) -> datetime | None:
        try:
            return parse_stamp(text or "", self.moment.zone)
        except ScheduleError:
            return None


def at_moment(case: Case) -> Answer:
    """Whether it ran, or will run, in the minute that was asked about, and why."""
    moment, slot = case.moment, case.firing.slot
    if moment.in_gap and slot is None:  # a run right after the gap would answer another question
        return _ahead(case) if moment.start > case.now else _no_slot(case)
    if rows := _rows(case):
        return _recorded(case, rows)
    if (slot or moment.start) > case.now:
        return _ahead(case)
    if slot is not None:
        return _unrecorded(case, slot)
    if started := [run for run in case.runs if moment.start <= run.started_at < moment.end]:
        return _started(case, started)
    return _no_slot(case)


def as_it_stands(case: Case) -> Answer:
    """Whether the task runs now, and when it runs next."""
    live = [run for run in case.runs if run.status is RunStatus.RUNNING]
    if live:
        since = duration_words(case.now - live[-1].started_at)
        sentence = f"is running, since {case.when(live[-1].started_at)} ({since})"
        return Answer(Verdict.RUNNING, sentence, live, [_machine_note(live[-1]), *_orphan_note(case)])
    answer = _next(case)
    if not case.runs:
        return answer
    last = case.runs[-1]
    notes = [f"Its last run was for {case.when(last.scheduled_for)}: {outcome_words(last)}.", _retry_note(case, last)]
    notes.append(_machine_note(last))
    return Answer(answer.verdict, answer.sentence, [last], [*notes, *answer.notes])


def outcome_words(run: Run) -> str:
    """How an attempt ended, as a clause: `it failed at attempt 2: the disk is full`."""
    attempt = f" at attempt {run.attempt}" if run.attempt > 1 else ""
    reason = f": {printable(run.reason)}" if run.reason else ""
    match run.status:
        case RunStatus.EXECUTED:
            took = time_between(run.started_at, run.finished_at or run.started_at)
            return f"it was executed{attempt}" + (f" in {duration_words(took)}" if took else "")
        case RunStatus.ERROR:
            return f"it failed{attempt}{reason}"
        case RunStatus.TIMEOUT:
            return f"it timed out{attempt}{reason}"
        case RunStatus.RUNNING:
            return f"it is running{attempt}"
    return f"it was {run.status}{attempt}{reason}"


def _next(case: Case) -> Answer:
    if case.obstacle or case.schedule is None:
        return Answer(Verdict.WILL_NOT_RUN, f"does not run: {case.obstacle}")
    if case.next_run is None:
        if (case.runs or case.is_over) and (only := case.schedule.only) is not None:
            again = " again" if case.runs or case.task.last_run_at else ""
            return Answer(Verdict.WILL_NOT_RUN, f"does not run{again}: its only time was {case.when(only)}")
        reason = _nobody(case) or case.trouble or "the daemon sets it when it sees the task"
        return Answer(Verdict.DUE, f"has no next run yet: {reason}")
    if case.next_run <= case.now:
        return _due(case, case.next_run)
    sentence = f"runs next at {case.when(case.next_run)}, in {duration_words(case.next_run - case.now)}"
    if case.next_run.year not in YEARS:
        return Answer(Verdict.WILL_RUN, sentence, notes=_nobody_note(case))
    then = case.schedule.firing(moment_of(case.next_run, case.moment.zone), next_run=case.next_run)
    why = f": {then.why}" if then.by_clock_change else ""
    return Answer(Verdict.WILL_RUN, sentence + why, notes=[then.note, *_nobody_note(case)])


def _nobody(case: Case) -> str:
    """Why nobody can run it at present, as a clause; empty if somebody can."""
    if case.waits:
        return case.waits
    return "no daemon is running; start it with `jarvis-trio run`" if case.daemon_runs is False else ""


def _nobody_note(case: Case) -> list[str]:
    if case.waits:
        return [f"Now {case.waits}."]
    return ["No daemon is running now: nothing runs until `jarvis-trio run`."] if case.daemon_runs is False else []


def _orphan_note(case: Case) -> list[str]:
    if case.away:
        forget = "`jarvis-trio machines forget` says that it never comes back"
        return [f"That is on {case.away}: nobody else runs it meanwhile; {forget}."]
    note = "No daemon is running now: if the process of that run is gone, the next daemon records it as interrupted."
    return [note] if case.daemon_runs is False else []


# The history has rows.


def _rows(case: Case) -> list[Run]:
    if case.firing.slot is not None:  # other slots of the same minute would answer another question
        return [run for run in case.runs if run.scheduled_for == case.firing.slot]
    return [run for run in case.runs if case.moment.start <= run.scheduled_for < case.moment.end]


def _recorded(case: Case, rows: Sequence[Run]) -> Answer:
    first, last = rows[0], rows[-1]
    notes = [_collapsed_note(first), _idle_note(case, first), _retry_note(case, last), _machine_note(last)]
    if case.firing.slot is None and last.trigger is Trigger.SCHEDULE:
        notes.append(_changed_note(case) or "Its schedule, as it is now, has no slot then.")
    if last.status is RunStatus.RUNNING:
        sentence = f"is running, since {case.when(last.started_at)}, for its slot of {case.when(last.scheduled_for)}"
        return Answer(Verdict.RUNNING, sentence, rows, [*notes, *_orphan_note(case)])
    if last.status in UNRUN:
        sentence = f"did not run at {case.when(last.scheduled_for)}: {outcome_words(last)}"
        return Answer(Verdict.DID_NOT_RUN, sentence, rows, notes)
    return Answer(Verdict.RAN, f"ran {_how(case, first)}; {outcome_words(last)}", rows, notes)


def _how(case: Case, first: Run) -> str:
    """When the first attempt started and why then, to follow `ran`."""
    when, late = case.when(first.scheduled_for), first.started_at - first.scheduled_for
    if first.trigger is Trigger.MANUAL:
        return f"at {when}, because a person asked for it"
    why = f": {case.firing.why}" if case.firing.by_clock_change else ""
    if late < _LATE:
        return f"at {when}{why}"
    return f"for its slot of {when}, but {duration_words(late)} late, at {case.when(first.started_at)}{why}"


def _started(case: Case, started: Sequence[Run]) -> Answer:
    run = started[-1]
    slot, begun = case.when(run.scheduled_for), case.when(run.started_at)
    if run.status in UNRUN:
        sentence = f"did not run at {begun}: for its slot of {slot} {outcome_words(run)}"
        return Answer(Verdict.DID_NOT_RUN, sentence, started)
    late = duration_words(run.started_at - run.scheduled_for)
    which = f"attempt {run.attempt}" if run.attempt > 1 else "the run"
    sentence = f"ran at {begun}: that was {which} for its slot of {slot}, {late} late; {outcome_words(run)}"
    return Answer(Verdict.RAN, sentence, started, [_collapsed_note(run), _machine_note(run)])


def _collapsed_note(run: Run) -> str:
    return f"That run also stands for {counted(run.collapsed, 'earlier slot')}." if run.collapsed else ""


def _idle_note(case: Case, run: Run) -> str:
    """Why a run was late: nothing ran at all."""
    if run.started_at - run.scheduled_for < _LATE or case.anything_ran(run.scheduled_for, run.started_at):
        return ""
    span = f"from {case.when(run.scheduled_for)} to {case.when(run.started_at)}"
    return f"No task ran {span}: the daemon was stopped, the machine slept, or its clock was set forward."


def _machine_note(run: Run) -> str:
    machine = owner_machine(run.owner)
    if machine is None or run.status in UNRUN:
        return ""
    return f"It {'runs' if run.status is RunStatus.RUNNING else 'ran'} on {machine}."


def _retry_note(case: Case, last: Run) -> str:
    if case.state or last.status not in FAILED or last.trigger is Trigger.MANUAL:
        return ""
    retries = task_policy(case.task.policy).retries
    return f"Attempt {last.attempt + 1} of {retries + 1} is still to come." if last.attempt <= retries else ""


def _changed_note(case: Case) -> str:
    created, changed = case.created_at, case.changed_at
    if created is not None and case.moment.end <= created:
        return f"The task was added later, at {case.when(created)}."
    if changed is not None and changed != created and case.moment.end <= changed:
        return f"The task was changed later, at {case.when(changed)}; its schedule may have been different then."
    return ""


# The moment is still to come.


def _ahead(case: Case) -> Answer:
    moment, next_run, slot = case.moment, case.next_run, case.firing.slot
    set_here = next_run is not None and moment.start <= next_run < moment.end and not moment.in_gap
    if slot is None and not set_here:
        besides = [f"Also, {case.obstacle}."] if case.obstacle else []
        return Answer(Verdict.WILL_NOT_RUN, f"will not run at {moment.words()}: {case.firing.why}", notes=besides)
    at = slot or next_run or moment.start
    if case.obstacle:
        return Answer(Verdict.WILL_NOT_RUN, f"will not run at {case.when(at)}: {case.obstacle}")
    if next_run is not None and at < next_run:
        reason = f"its next run is set to {case.when(next_run)}, although its schedule has an earlier slot"
        return Answer(Verdict.WILL_NOT_RUN, f"will not run at {case.when(at)}: {reason}")
    why = f": {case.firing.why}" if case.firing.by_clock_change else ""
    if slot is None:
        why = ": its next run is set to that time, although its schedule has no slot then"
    in_words = duration_words(at - case.now)
    return Answer(Verdict.WILL_RUN, f"will run at {case.when(at)}, in {in_words}{why}", notes=_nobody_note(case))


# The moment is past, and the history has no row for it.


def _no_slot(case: Case) -> Answer:
    sentence = f"did not run at {case.moment.words()}: {case.firing.why}"
    return Answer(Verdict.DID_NOT_RUN, sentence, notes=[_changed_note(case)])


def _unrecorded(case: Case, slot: datetime) -> Answer:
    waits = _is_only(case, slot) if case.next_run is None else case.next_run <= slot
    if waits and case.obstacle is None:
        return _due(case, slot)
    later = next((run for run in case.runs if run.scheduled_for > slot and run.collapsed), None)
    if later is not None and case.schedule and case.schedule.latest(slot, later.scheduled_for)[1] <= later.collapsed:
        return _caught_up(case, slot, later)
    return Answer(Verdict.DID_NOT_RUN, f"did not run at {case.when(slot)}: {_why_unrecorded(case, slot)}")


def _is_only(case: Case, slot: datetime) -> bool:
    return case.schedule is not None and case.schedule.only == slot


def _due(case: Case, slot: datetime) -> Answer:
    reason = _nobody(case) or case.trouble or "the daemon has not come to it yet"
    sentence = (
        f"has been due since {case.when(slot)}, {duration_words(case.now - slot)} ago, and has not started: {reason}"
    )
    earlier = case.next_run is not None and case.next_run < slot
    notes = [f"Its slots since {case.when(case.next_run)} become one run."] if earlier and case.next_run else []
    return Answer(Verdict.DUE, sentence, notes=notes)


def _caught_up(case: Case, slot: datetime, later: Run) -> Answer:
    how = "it is counted with the slot of" if later.status in UNRUN else "it was caught up by the run for"
    count = counted(later.collapsed, "earlier slot")
    when, other = case.when(slot), case.when(later.scheduled_for)
    sentence = f"did not run at {when}: {how} {other}, which stands for {count}; {outcome_words(later)}"
    return Answer(Verdict.DID_NOT_RUN, sentence, [later], [_idle_note(case, replace(later, scheduled_for=slot))])


def _why_unrecorded(case: Case, slot: datetime) -> str:
    created, changed = case.created_at, case.changed_at
    if created is not None and slot < created:
        return f"the task was added later, at {case.when(created)}"
    if case.state and changed is not None and changed <= slot:
        return f"it was {case.state}, and still is; its last change was before that, at {case.when(changed)}"
    if changed is not None and slot < changed:
        return f"no run is recorded; the task was changed later, at {case.when(changed)}, and may have been paused then"
    return "no run is recorded; the history of that time may have been deleted"
