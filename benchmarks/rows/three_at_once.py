"""Three tasks are due at one instant, 100 times: the lateness of each task. As in the rows before, all contestants run
at the same time: each has an instant every 0.6 s, and the next contestant's comes 0.1 s later. cronstable, cron and
DBOS know no such instants. Each of ours is claimed durably before it starts, one after the other."""

from __future__ import annotations

from benchmarks.contestants import FIRST_JARVIS, JARVIS, PEERS
from benchmarks.punctuality import Turns, take_turns
from benchmarks.results import Comparison

DOES = "lateness of three tasks at one instant"
SECONDS, QUICK_SECONDS = 85, 25


def measure(quick: bool) -> list[Comparison]:
    """The median and the 90th percentile of the lateness, in milliseconds."""
    turns = Turns(10, 0.6, 15, tasks=3) if quick else Turns(100, 0.6, 20, tasks=3)
    late = take_turns((JARVIS, FIRST_JARVIS, *PEERS), turns)
    title = "Lateness of three tasks at one instant"
    return [
        late.comparison("three-at-once-median", title, 50),
        late.comparison("three-at-once", title, 90, limit_ms=1),
    ]
