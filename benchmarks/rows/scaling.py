"""The engine on a clock that is moved by hand, with ten tasks stored and with many; CPU time, since the disk's share
does not depend on how many there are. An idle tick is what the daemon asks each time: evaluate what is due, and say
when something is due next. Claiming is ten due tasks, each run and recorded."""

from __future__ import annotations

from typing import Any

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import ask_in_folder

DOES = "an idle tick and a due task among ten tasks and among 200,000"
SECONDS, QUICK_SECONDS = 35, 10


def measure(quick: bool) -> list[Comparison]:
    """CPU microseconds of an idle tick, and of a due task."""
    rounds, stored, ticks = (2, 20_000, 1_000) if quick else (3, 200_000, 20_000)
    few: list[dict[str, Any]] = []
    many: list[dict[str, Any]] = []
    for _ in range(rounds):
        for found, number in ((few, 10), (many, stored)):
            found.append(ask_in_folder(Environment.OWN, "jarvis_many", "scaling", stored=number, due=10, ticks=ticks))
    per_task_us = [found["read_seconds"] / stored * 1e6 for found in many]
    return [
        _comparison("scaling-idle", "An idle tick", "us of CPU", "idle_us", stored, few, many, 1.5),
        _comparison("scaling-claim", "A due task, of ten", "us of CPU", "due_us", stored, few, many, 2),
        Comparison(
            "scaling-read",
            "Reading a task that another program added, once",
            "us a task",
            [Series(f"{stored:,} tasks", tuple(per_task_us))],
            [],
        ),
    ]


def _comparison(
    key: str,
    title: str,
    unit: str,
    figure: str,
    stored: int,
    few: list[dict[str, Any]],
    many: list[dict[str, Any]],
    limit: float,
) -> Comparison:
    series = [
        Series(f"among {number:,} tasks", tuple(found[figure] for found in rounds))
        for number, rounds in ((stored, many), (10, few))
    ]
    goal = Goal(f"among {stored:,} against among 10", series[0].ratio_to(series[1]), limit, "x")
    return Comparison(key, title, unit, series, [goal])
