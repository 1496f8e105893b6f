"""10,000 tasks that do nothing are due when one tick of the engine begins, on a clock that is moved by hand: each is
claimed, run and recorded. CPU time of a task, beside that in a backlog of 1,000."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, in_rounds
from benchmarks.running import ask_in_folder

DOES = "a tick that finds 10,000 tasks due"
SECONDS, QUICK_SECONDS = 25, 5


@dataclass(frozen=True, slots=True)
class Backlog:
    """A number of due tasks."""

    tasks: int
    offers: str = ""

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return f"{self.tasks:,} due tasks"

    def microseconds(self) -> float:
        """CPU microseconds of each task."""
        found = ask_in_folder(Environment.OWN, "jarvis_many", "scaling", stored=self.tasks, due=self.tasks, ticks=1)
        return float(found["due_us"])


def measure(quick: bool) -> list[Comparison]:
    """CPU microseconds of a due task in a long backlog and in a short one."""
    rounds, tasks = (2, 1_000) if quick else (3, 10_000)
    long, short = in_rounds([Backlog(tasks), Backlog(tasks // 10)], rounds, Backlog.microseconds, SECONDS)
    goal = Goal(f"of {tasks:,} against of {tasks // 10:,}", long.ratio_to(short), 1.5, "x")
    return [Comparison("backlog", "A due task in a long backlog", "us of CPU", [long, short], [goal])]
