"""What is measured, a module each, in the order of the results.

Each has `measure(quick)`, and its docstring says in the results how it is done.
"""

from __future__ import annotations

from types import ModuleType

from benchmarks.rows import (
    cpu_week,
    cron_next,
    idle,
    inbox,
    lateness,
    memory_growth,
    scaling,
    simulated_year,
    start_and_stop,
    throughput,
)

ROWS: tuple[ModuleType, ...] = (
    cpu_week,
    lateness,
    throughput,
    scaling,
    cron_next,
    simulated_year,
    idle,
    memory_growth,
    start_and_stop,
    inbox,
)
