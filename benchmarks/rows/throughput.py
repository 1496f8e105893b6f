"""So many recurring tasks that do nothing are due at once. Timed from the start of the scheduler until the last one has
run and what the contestant stores of it is stored; making the tasks is not timed. All run jobs in four threads and
write to SQLite in WAL mode with `synchronous=FULL`, whatever their default is, so that a commit is on the disk when it
returns; APScheduler 3.11 also as it comes, with SQLite's rollback journal, which is as durable. The floor is a commit
of one row with the same settings, measured in the same rounds."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.contestants import APSCHEDULER3, JARVIS, SCHEDULERS, Contestant
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds

AS_IT_COMES = replace(APSCHEDULER3, name="APScheduler 3.11 as it comes", arguments={"journal": "DELETE"})
FLOOR = Contestant("one SQLite commit", Environment.OWN, "sqlite_floor", "an insert of one row, the physical limit")


def measure(quick: bool) -> list[Comparison]:
    """Tasks per second, as microseconds for each task."""
    rounds, count = (2, 300) if quick else (5, 1000)

    def microseconds(contestant: Contestant) -> float:
        verb = "commits" if contestant is FLOOR else "throughput"
        seconds: float = contestant.ask(verb, count=count)
        return seconds / count * 1e6

    ours, *others = in_rounds([*SCHEDULERS, AS_IT_COMES, FLOOR], rounds, microseconds)
    by_name = {series.name: series for series in others}
    return [
        Comparison(
            "throughput",
            "Due no-op tasks, each claimed and recorded durably",
            "us a task",
            [ours, *others],
            [
                _times_faster("than APScheduler 3.11 as it comes", ours, by_name[AS_IT_COMES.name]),
                _times_faster("than APScheduler 3.11 tuned like ours", ours, by_name[APSCHEDULER3.name]),
                Goal("SQLite commits' cost each", ours.ratio_to(by_name[FLOOR.name]), 2, "commits"),
            ],
            [f"{JARVIS.name}: {1e6 / ours.median:,.0f} tasks a second"],
        )
    ]


def _times_faster(text: str, ours: Series, theirs: Series) -> Goal:
    return Goal(f"faster {text}", theirs.ratio_to(ours), 1.2, "x", at_least=True)
