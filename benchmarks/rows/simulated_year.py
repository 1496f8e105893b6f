"""jarvis-trio's simulation kit, which runs the real daemon, engine and store in simulated time, with a tick each
minute and the database in memory; CPU time. No peer can be simulated: APScheduler, huey and cronstable read the
clock themselves. The first set is what an assistant has, thirty tasks of all kinds; in the second, the runs outweigh
the idle ticks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds
from benchmarks.running import ask

DOES = "a simulated year, this version and 1.0.0 in turn"
SECONDS, QUICK_SECONDS = 100, 15


@dataclass(frozen=True, slots=True)
class Release:
    """A version of ours."""

    name: str
    environment: Environment
    offers: str = ""


RELEASES = (Release("jarvis-trio", Environment.OWN), Release("jarvis-trio 1.0.0", Environment.FIRST))

USUAL = (
    [{"every": "2h"}, {"every": "1h"}, {"every": "6h"}, {"every": "1d"}]
    + [{"cron": f"{minute} {hour} * * *"} for minute, hour in ((0, 7), (30, 8), (0, 12), (30, 2), (15, 23), (0, 18))]
    + [{"cron": f"0 9 * * {days}"} for days in ("MON-FRI", "MON", "TUE", "WED", "THU", "FRI", "SAT,SUN")]
    + [{"cron": f"15 6 {day} * *"} for day in (1, 5, 10, 15, 20, 28, 31)]
    + [{"cron": text} for text in ("0 */4 * * *", "30 1 1 1 *", "0 0 29 2 *", "@weekly", "@monthly")]
    + [{"at": "2026-07-04T12:00"}]
)
BUSY = (
    [{"every": "10m"}] * 2
    + [{"every": "15m"}] * 3
    + [{"every": "30m"}] * 3
    + [{"cron": "*/20 * * * *"}] * 2
    + [{"cron": "7 * * * *"}] * 2
    + USUAL[4:22]
)


def measure(quick: bool) -> list[Comparison]:
    """CPU seconds for a year of each."""
    rounds, days, busy_days = (1, 10, 10) if quick else (5, 122, 30)
    (usual, usual_first), runs = _years(USUAL, days, rounds)
    (busy, busy_first), busy_runs = _years(BUSY, busy_days, rounds)
    return [
        Comparison(
            "simulated-year",
            f"A simulated year at 60 s ticks, thirty tasks{_scaled(days)}",
            "s of CPU",
            [usual, usual_first],
            [Goal(f"against 1.0.0, {runs:,.0f} runs", usual.ratio_to(usual_first), 0.45, "x")],
        ),
        Comparison(
            "simulated-busy-year",
            f"A simulated year at 60 s ticks, thirty busy tasks{_scaled(busy_days)}",
            "s of CPU",
            [busy, busy_first],
            [Goal(f"against 1.0.0, {busy_runs:,.0f} runs", busy.ratio_to(busy_first), 0.92, "x")],
            [f"{busy.median / busy_runs * 1e6:,.0f} us a run, its tick included"],
        ),
    ]


def _scaled(days: int) -> str:
    return f" (from {days} days)" if days < 365 else ""


def _years(schedules: list[dict[str, str]], days: int, rounds: int) -> tuple[list[Series], float]:
    """CPU seconds for a year, of this version and of 1.0.0 in the same rounds, and its runs."""
    scale, runs = 365 / days, 0.0

    def year(release: Release) -> float:
        nonlocal runs
        found = ask(release.environment, "jarvis_year", "simulate", schedules=schedules, days=days)
        runs = found["runs"] * scale
        return float(found["seconds"] * scale)

    return in_rounds(RELEASES, rounds, year, SECONDS / 2), runs
