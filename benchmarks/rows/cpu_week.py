"""Three agents that launchd started 588 times a day, each a fresh interpreter that imports an engine, looks at the
database and ends: 4116 starts a week. The old engine is no public package, so ours stands for it, as `jarvis-trio
tick`. Against them one daemon, of which a week is run in fast motion: all intervals are a sixtieth (a tick each second,
`webhook_poll` each 5 s, `alert_eval` each 2 min), measured for some time and scaled to a week of ticks; its start and
stop are added once, not scaled. CPU time, user and system, as the kernel accounts it. Linux only: elsewhere that of a
running process is not told finely enough. Two floors: a start that only runs `python -c pass`, and a daemon on trio
that does nothing at each tick but call an empty function in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.contestants import Contestant, JarvisCommand, Standing
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import Process, environ, temporary_folder

DOES = "CPU of a week of ticks, against 4,116 cold starts"
SECONDS, QUICK_SECONDS = 72, 25

STARTS_A_WEEK = 588 * 7
TICKS_A_WEEK = 7 * 24 * 60

DAEMON = JarvisCommand(settings={"DAEMON_TICK_INTERVAL_SECONDS": "1"})
TRIO = Contestant("an empty trio daemon", Environment.OWN, "trio_floor", "", {"seconds": 1})


def measure(quick: bool) -> list[Comparison]:
    """CPU seconds of a week."""
    rounds, ticks = (1, 8) if quick else (2, 15)

    def series(name: str, offers: str, week: Callable[[], float]) -> Series:
        return Series(name, tuple(week() for _ in range(rounds)), offers)

    daemon = series("jarvis-trio", "start, ticks, runs and stop", lambda: _week_of_daemon(DAEMON, ticks))
    cold = series("three cold-start agents", "4116 starts of `tick`", _week_of_ticks)
    trio = series("an empty trio daemon", "wakes, and calls nothing in a thread", lambda: _week_of_daemon(TRIO, ticks))
    bare = series("4116 bare interpreters", "`python -c pass`", _week_of_nothing)
    goal = Goal("less than cold starts", cold.ratio_to(daemon), 250, "x", at_least=True)
    limit = f"An empty trio daemon would reach {cold.ratio_to(trio):.0f} x"
    return [Comparison("cpu-week", "CPU of a week", "s of CPU", [daemon, cold, trio, bare], [goal], [limit])]


def _week_of_daemon(daemon: Standing, ticks: int) -> float:
    """The CPU seconds of a week, from those of `ticks` ticks, one a second."""
    with temporary_folder() as folder:
        _prepare(folder)
        process, _ = daemon.start(folder)
        before = process.cpu_seconds()
        time.sleep(ticks)
        ticking = process.cpu_seconds() - before
        return process.stop().cpu_seconds + ticking * (TICKS_A_WEEK / ticks - 1)


def _prepare(folder: Path) -> None:
    for words in (["init"], ["edit", "webhook_poll", "--every", "5s"], ["edit", "alert_eval", "--every", "2m"]):
        DAEMON.command(folder, *words).end()


def _week_of_ticks(starts: int = 5) -> float:
    with temporary_folder() as folder:
        DAEMON.command(folder, "init").end()
        return _week_of([DAEMON.command(folder, "tick").end().cpu_seconds for _ in range(starts)])


def _week_of_nothing(starts: int = 10) -> float:
    nothing = [Environment.OWN.python, "-c", "pass"]
    return _week_of([Process(nothing, environ()).end().cpu_seconds for _ in range(starts)])


def _week_of(starts_cpu_seconds: list[float]) -> float:
    return median(starts_cpu_seconds) * STARTS_A_WEEK
