"""1,000 slots of each while three long handlers hold three of the four threads of each. As in the row before, all
contestants run at the same time, and each has its own phase: its slots are 0.18 s apart, and the next contestant's
slot comes 30 ms later. huey looks at its schedule once a second. DBOS, cronstable and cron know no such slots."""

from __future__ import annotations

from benchmarks.contestants import FIRST_JARVIS, JARVIS, PEERS
from benchmarks.punctuality import Turns, take_turns
from benchmarks.results import Comparison

DOES = "lateness while three long handlers run"
SECONDS, QUICK_SECONDS = 225, 25


def measure(quick: bool) -> list[Comparison]:
    """The median and the 99th percentile of the lateness, in milliseconds."""
    turns = Turns(40, 0.18, 15) if quick else Turns(1_000, 0.18, 40)
    late = take_turns((JARVIS, FIRST_JARVIS, *PEERS), turns, busy=3)
    title = "Lateness while three long handlers run in four slots"
    return [
        late.comparison("lateness-busy-median", title, 50, limit_ms=0.3, limit_ratio=0.25),
        late.comparison("lateness-busy", title, 99, limit_ms=1, limit_ratio=0.5),
    ]
