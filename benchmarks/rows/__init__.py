"""What is measured, a module each, in the order of the results.

Each has `measure(quick)`; `DOES`, which says in a few words what it does; `SECONDS` and
`QUICK_SECONDS`, which say about how long that takes on two quiet processors. Its docstring says
in the results how it is done.
"""

from __future__ import annotations

from types import ModuleType

from benchmarks.rows import (
    backlog,
    big_history,
    cpu_week,
    cron_next,
    idle,
    inbox,
    lateness_busy,
    lateness_idle,
    memory_growth,
    scaling,
    simulated_year,
    start_and_stop,
    three_at_once,
    throughput,
)

ROWS: tuple[ModuleType, ...] = (
    lateness_idle,
    lateness_busy,
    three_at_once,
    throughput,
    idle,
    start_and_stop,
    simulated_year,
    big_history,
    backlog,
    scaling,
    cpu_week,
    cron_next,
    memory_growth,
    inbox,
)
