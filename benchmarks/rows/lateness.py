"""Tasks at instants that lie 50 ms apart, each noting by how much it is called late; the value of a round is the
99th percentile. Once with nothing else to do, once while three handlers of 60 s hold three of the four threads. huey
looks at its schedule once a second. cronstable is asked for a job each second, the finest that it knows, and its job
is a process that prints the time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.contestants import SCHEDULERS, Contestant, Cronstable
from benchmarks.results import Comparison, Goal, Series, best_of, in_rounds, percentile99
from benchmarks.running import temporary_folder

GAP_SECONDS = 0.05


def measure(quick: bool) -> list[Comparison]:
    """The 99th percentile of the lateness, in milliseconds."""
    rounds, count = (1, 20) if quick else (3, 100)
    cronstable_seconds = 3 if quick else 10

    def late_ms(contestant: Contestant | Cronstable) -> float:
        if isinstance(contestant, Cronstable):
            return percentile99(_cronstable_late_ms(contestant, cronstable_seconds))
        return percentile99(contestant.ask("lateness", count=count, gap_seconds=GAP_SECONDS, busy=0))

    def late_ms_when_busy(contestant: Contestant) -> float:
        return percentile99(contestant.ask("lateness", count=count, gap_seconds=GAP_SECONDS, busy=3))

    everybody: list[Contestant | Cronstable] = [*SCHEDULERS, Cronstable()]
    idle = in_rounds(everybody, rounds, late_ms)
    busy = in_rounds(SCHEDULERS, rounds, late_ms_when_busy)
    return [
        _comparison("lateness-idle", "Lateness of a due task, idle daemon, p99", idle, 10),
        _comparison("lateness-busy", "Lateness while three 60 s handlers run in four slots, p99", busy, 50),
    ]


def _comparison(key: str, title: str, series: Sequence[Series], limit_ms: float) -> Comparison:
    ours, *others = series
    best = best_of(others)
    return Comparison(
        key,
        title,
        "ms",
        series,
        [
            Goal("p99", ours.median, limit_ms, "ms"),
            Goal(f"of the best peer's ({best.name})", ours.ratio_to(best), 1, "x"),
        ],
    )


def _cronstable_late_ms(cronstable: Cronstable, seconds: int) -> list[float]:
    with temporary_folder() as folder:
        stamps = folder / "stamps"
        cronstable.configure(folder, [(f"date +%s.%N >> '{stamps}'", "* * * * * * *")])
        process, _ = cronstable.run(folder)
        time.sleep(seconds + 1)
        process.stop()
        return [float(line) % 1 * 1000 for line in stamps.read_text().splitlines()]
