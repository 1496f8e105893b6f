"""Recurring tasks that do nothing are all due at once. Timed from the start of the scheduler until the last one has run
and what the contestant stores of it is stored; making the tasks is not timed. All run jobs in four threads and write
to SQLite in WAL mode with `synchronous=FULL`, whatever their default is, so that a commit is on the disk when it
returns; APScheduler 3.11 also as it comes, with SQLite's rollback journal, which is as durable. DBOS runs workflows
that are started one after the other, in its own number of threads, since its queue would be looked at once a second.
The floor is a commit of one row with the same settings, measured in the same rounds. There are 1,000 tasks; of those
that need milliseconds for each, 200."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.contestants import (
    APSCHEDULER3,
    APSCHEDULER4,
    APSCHEDULER4_TRIO,
    DBOS,
    FIRST_JARVIS,
    HUEY,
    JARVIS,
    Contestant,
)
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds

DOES = "due tasks that do nothing, claimed and recorded durably"
SECONDS, QUICK_SECONDS = 95, 25

AS_IT_COMES = replace(APSCHEDULER3, name="APScheduler 3.11 as it comes", arguments={"journal": "DELETE"})
FLOOR = Contestant("one SQLite commit", Environment.OWN, "sqlite_floor", "an insert of one row, the physical limit")
EVERYBODY = (JARVIS, FIRST_JARVIS, APSCHEDULER3, AS_IT_COMES, APSCHEDULER4, APSCHEDULER4_TRIO, HUEY, DBOS, FLOOR)
SLOW = (APSCHEDULER4, DBOS)


def measure(quick: bool) -> list[Comparison]:
    """Tasks per second, as microseconds for each task."""
    rounds, tasks, tasks_of_slow = (2, 300, 50) if quick else (5, 1_000, 200)

    def microseconds(contestant: Contestant) -> float:
        verb = "commits" if contestant is FLOOR else "throughput"
        count = tasks_of_slow if contestant in SLOW else tasks
        seconds: float = contestant.ask(verb, count=count)
        return seconds / count * 1e6

    ours, *others = in_rounds(EVERYBODY, rounds, microseconds, SECONDS)
    by_name = {series.name: series for series in others}
    goals = [
        _times_faster("than APScheduler 3.11 tuned alike", ours, by_name[APSCHEDULER3.name]),
        _times_faster("than APScheduler 3.11 as it comes", ours, by_name[AS_IT_COMES.name]),
        Goal("SQLite commits' cost each", ours.ratio_to(by_name[FLOOR.name]), 2, "commits"),
    ]
    title = "Due no-op tasks, each claimed and recorded durably"
    note = f"{JARVIS.name}: {1e6 / ours.median:,.0f} tasks a second"
    return [Comparison("throughput", title, "us a task", [ours, *others], goals, [note])]


def _times_faster(text: str, ours: Series, theirs: Series) -> Goal:
    return Goal(f"faster {text}", theirs.ratio_to(ours), 1.2, "x", at_least=True)
