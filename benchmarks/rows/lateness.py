"""Tasks at instants that lie half a second apart, each noting by how much it is called late: 1,000 samples of
each program in one run, since the 99th percentile of a hundred is the worst one or two of them. Once with nothing else
to do, once, 50 ms apart, while three long handlers hold three of the four threads. huey looks at its schedule once a
second. cronstable is asked for a job each second, the finest that it knows, and its job is a process that prints the
time; it keeps no record of a claim. APScheduler does not see other programs' writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

from benchmarks.contestants import SCHEDULERS, Contestant, Cronstable
from benchmarks.results import Comparison, Goal, Series, best_of, percentile99
from benchmarks.running import temporary_folder

IDLE_GAP_SECONDS = 0.5
BUSY_GAP_SECONDS = 0.05


def measure(quick: bool) -> list[Comparison]:
    """The median and the 99th percentile of the lateness, in milliseconds."""
    count, cronstable_seconds = (20, 3) if quick else (1_000, 100)

    def idle(contestant: Contestant | Cronstable) -> list[float]:
        if isinstance(contestant, Cronstable):
            return _cronstable_late_ms(contestant, cronstable_seconds)
        samples: list[float] = contestant.ask("lateness", count=count, gap_seconds=IDLE_GAP_SECONDS, busy=0)
        return samples

    def busy(contestant: Contestant) -> list[float]:
        samples: list[float] = contestant.ask("lateness", count=count, gap_seconds=BUSY_GAP_SECONDS, busy=3)
        return samples

    everybody: list[Contestant | Cronstable] = [*SCHEDULERS, Cronstable()]
    found_idle = [(contestant.name, contestant.offers, idle(contestant)) for contestant in everybody]
    found_busy = [(contestant.name, contestant.offers, busy(contestant)) for contestant in SCHEDULERS]
    return [
        *_comparisons("lateness-idle", "Lateness of a due task, idle daemon", found_idle),
        *_comparisons("lateness-busy", "Lateness while three long handlers run in four slots", found_busy),
    ]


def _comparisons(key: str, title: str, found: Sequence[tuple[str, str, list[float]]]) -> list[Comparison]:
    middle = [Series(name, (median(samples),), offers) for name, offers, samples in found]
    worst = [Series(name, (percentile99(samples),), offers) for name, offers, samples in found]
    return [
        _comparison(f"{key}-median", f"{title}, median", middle, 0.3, 0.25),
        _comparison(key, f"{title}, p99", worst, 1, 0.5),
    ]


def _comparison(key: str, title: str, series: Sequence[Series], limit_ms: float, limit_ratio: float) -> Comparison:
    ours, *others = series
    best = best_of(others)
    return Comparison(
        key,
        title,
        "ms",
        series,
        [
            Goal("of 1,000 samples", ours.median, limit_ms, "ms"),
            Goal(f"of the best peer's ({best.name})", ours.ratio_to(best), limit_ratio, "x"),
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
