"""1,000 slots of each, 2 s apart, of daemons that are idle in between. All contestants run at the same time, each as
a program of its own. Each has its own phase of the two seconds, 0.25 s from the next, so that nobody's slot meets
another's and all of them met the same machine. A job notes by how much it is called late. The 99th percentile takes
1,000 samples: that of a hundred is the worst one or two of them. huey looks at its schedule once a second.
cronstable, cron and DBOS know whole seconds or minutes only; the jobs of the first two are processes that print the
time. cron has one slot a minute, so its 99th percentile is its worst, and Debian's starts its jobs a second after
the minute. DBOS delays a slot at random and looks at its queue once a second. APScheduler does not see other
programs' writes."""

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
    Cronstable,
    Punctual,
)
from benchmarks.punctuality import Turns, take_turns
from benchmarks.results import Comparison
from benchmarks.system_schedulers import cron, notes

DOES = "lateness of idle daemons, all at once, a slot of each every 2 s"
SECONDS, QUICK_SECONDS = 2_050, 85

# In eighths of the two seconds. cronstable and DBOS have whole seconds; cron has the minute's first
# second, which cronstable leaves out.
PHASES: tuple[tuple[Punctual, int], ...] = (
    (JARVIS, 1),
    (FIRST_JARVIS, 5),
    (APSCHEDULER3, 3),
    (APSCHEDULER4, 6),
    (APSCHEDULER4_TRIO, 2),
    (HUEY, 7),
    (DBOS, 4),
    (Cronstable(), 0),
)


def measure(quick: bool) -> list[Comparison]:
    """The median and the 99th percentile of the lateness, in milliseconds."""
    turns = Turns(32, 2, 15) if quick else Turns(1_000, 2, 40)
    phases = [*PHASES, *((each, 0) for each in cron())]
    late = take_turns([each for each, _ in phases], turns, phases=[eighth / 8 for _, eighth in phases])
    late = replace(late, notes=[*late.notes, *notes()])
    title = "Lateness of a due task, idle daemon"
    return [
        late.comparison("lateness-idle-median", title, 50, limit_ms=0.3, limit_ratio=0.25),
        late.comparison("lateness-idle", title, 99, limit_ms=1, limit_ratio=0.5),
    ]
