"""What a task did, or will do, on one day: each of its slots, and why. It only reads the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import islice

from jarvis_trio.insight.answers import Answer, Case, Verdict, at_moment
from jarvis_trio.insight.explain import case_at, known_since
from jarvis_trio.models import Run, RunStatus, ScheduledTask
from jarvis_trio.notation.instants import as_utc
from jarvis_trio.notation.text import counted, date_words, joined, printable
from jarvis_trio.schedules.firing import mismatch_words, moment_of
from jarvis_trio.schedules.schedule import slots_between
from jarvis_trio.store import MemoryStore

_MOST_TOLD = 12
_MOST_SLOTS = 100_000
_TO_COME, _DUE, _WITHOUT = "to come", "due", "without a run"
_ORDER = (*(str(status) for status in RunStatus), _DUE, _TO_COME, _WITHOUT)


@dataclass(frozen=True, slots=True)
class SlotAnswer:
    """What became of one slot, or will; `sentence` follows the task's name."""

    at: datetime
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class DayExplanation:
    """A task on one day.

    Attributes:
        day: the day that was asked about.
        zone: the task's zone, in which the day is meant.
        answer: the day in one sentence.
        counts: how many slots ended how, or are still to come.
        slots: the slots, in order; if there are many, those that went wrong before the others.
        left_out: how many slots are counted and not in `slots`.
        notes: further sentences, each once.
    """

    day: date
    zone: tzinfo
    answer: str
    counts: dict[str, int]
    slots: tuple[SlotAnswer, ...]
    left_out: int
    notes: tuple[str, ...]


def explain_day(
    store: MemoryStore, task: ScheduledTask, day: date, now: datetime, *, daemon_runs: bool | None
) -> DayExplanation:
    """What `task` did on `day` of its zone, or will do; otherwise as `explain`."""
    case = case_at(store, task, datetime.combine(day, time(12)), now, daemon_runs)
    zone = case.moment.zone
    start, end = (as_utc(datetime.combine(day + timedelta(days=days), time()), zone) for days in (0, 1))

    rows = {run.scheduled_for: run for run in case.runs if start <= run.scheduled_for < end}
    slots = sorted({*islice(_slots(case, start, end), _MOST_SLOTS), *rows})
    outcomes = {slot: _outcome(case, slot, rows.get(slot)) for slot in slots}
    counts = Counter(outcomes.values())

    told = [_told(case, slot) for slot in _worth_telling(slots, outcomes)]
    return DayExplanation(
        day=day,
        zone=zone,
        answer=_sentence(case, day, counts),
        counts={name: counts[name] for name in _ORDER if counts[name]},
        slots=tuple(SlotAnswer(slot, answer.verdict, answer.sentence) for slot, answer in told),
        left_out=len(slots) - len(told),
        notes=tuple(dict.fromkeys(note for _, answer in told for note in answer.notes if note)),
    )


def _slots(case: Case, start: datetime, end: datetime) -> Iterator[datetime]:
    """The slots that the present schedule has in [start, end), and the row's next run."""
    schedule, next_run = case.schedule, case.next_run
    if next_run is not None and start <= next_run < end:
        yield next_run
    if schedule is not None:
        yield from slots_between(schedule, next_run, start, end, known_since(schedule, case.runs))


def _outcome(case: Case, slot: datetime, run: Run | None) -> str:
    if run is not None:
        return str(run.status)
    if slot > case.now:
        return _TO_COME if case.state is None and not (case.next_run and slot < case.next_run) else _WITHOUT
    return _DUE if case.state is None and case.next_run is not None and case.next_run <= slot else _WITHOUT


def _worth_telling(slots: Sequence[datetime], outcomes: dict[datetime, str]) -> list[datetime]:
    ordinary = (str(RunStatus.EXECUTED), _TO_COME)
    by_need = sorted(slots, key=lambda slot: outcomes[slot] in ordinary)  # stable: in order of time
    return sorted(by_need[:_MOST_TOLD])


def _told(case: Case, slot: datetime) -> tuple[datetime, Answer]:
    moment = moment_of(slot, case.moment.zone)
    firing = case.firing
    if case.schedule is not None:
        since = known_since(case.schedule, case.runs)
        firing = case.schedule.firing(moment, next_run=case.next_run, known_since=since)
    if firing.slot is not None:
        firing = firing._replace(slot=slot)  # of several in one minute, this one is meant
    return slot, at_moment(replace(case, moment=moment, firing=firing))


def _sentence(case: Case, day: date, counts: Counter[str]) -> str:
    name, when = printable(case.task.name), date_words(day)
    if not counts:
        return f"{name} has no slot on {when}: {_why_none(case)}."
    parts = [f"{counts[outcome]:,} {outcome}" for outcome in _ORDER if counts[outcome]]
    return f"{name} has {counted(counts.total(), 'slot')} on {when}: {joined(parts, most=len(parts))}."


def _why_none(case: Case) -> str:
    """What the expression's fields of the date say; an interval and a single time have none."""
    if not case.firing.fields:
        return case.firing.why
    return mismatch_words(case.firing.fields[2:]) or "the clock skips its times that day"
