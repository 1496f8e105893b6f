"""Three agents that launchd started 588 times a day, each a fresh interpreter that imports an engine, looks at the
database and ends: 4116 starts a week. The old engine is no public package, so ours stands for it, as `jarvis-trio
tick`; a start that only runs `python -c pass` is the floor. Against them one daemon of which a week is run in fast
motion: all intervals are a sixtieth (a tick each second, `webhook_poll` each 5 s, `alert_eval` each 2 min), measured
for some time and scaled to a week of ticks; its start and stop are added once, not scaled. CPU time, user and system,
as the kernel accounts it. Linux only: elsewhere a running process's is not told finely enough."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.contestants import JarvisCommand
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import Process, environ, temporary_folder

STARTS_A_WEEK = 588 * 7
TICKS_A_WEEK = 7 * 24 * 60


def measure(quick: bool) -> list[Comparison]:
    """CPU seconds of a week."""
    rounds, ticks = (1, 10) if quick else (3, 120)
    daemon = Series("jarvis-trio", tuple(_daemon_week(ticks) for _ in range(rounds)), "start, ticks, runs and stop")
    cold = Series("three cold-start agents", tuple(_cold_week() for _ in range(rounds)), "4116 starts of `tick`")
    bare = Series("4116 bare interpreters", tuple(_bare_week() for _ in range(rounds)), "`python -c pass`: no work")
    return [
        Comparison(
            "cpu-week",
            "CPU of a week",
            "s of CPU",
            [daemon, cold, bare],
            [Goal("less than cold starts", cold.ratio_to(daemon), 250, "x", at_least=True)],
        )
    ]


def _daemon_week(ticks: int) -> float:
    """The CPU seconds of a week, from those of so many ticks, one a second."""
    daemon = JarvisCommand(settings={"DAEMON_TICK_INTERVAL_SECONDS": "1"})
    with temporary_folder() as folder:
        for words in (["init"], ["edit", "webhook_poll", "--every", "5s"], ["edit", "alert_eval", "--every", "2m"]):
            daemon.command(folder, *words).end()
        process, _ = daemon.start(folder)
        before = process.cpu_seconds()
        time.sleep(ticks)
        ticking = process.cpu_seconds() - before
        return process.stop().cpu_seconds + ticking * (TICKS_A_WEEK / ticks - 1)


def _cold_week(starts: int = 5) -> float:
    daemon = JarvisCommand()
    with temporary_folder() as folder:
        daemon.command(folder, "init").end()
        return _week_of([daemon.command(folder, "tick").end().cpu_seconds for _ in range(starts)])


def _bare_week(starts: int = 10) -> float:
    nothing = [Environment.OWN.python, "-c", "pass"]
    return _week_of([Process(nothing, environ()).end().cpu_seconds for _ in range(starts)])


def _week_of(starts_cpu_seconds: list[float]) -> float:
    return median(starts_cpu_seconds) * STARTS_A_WEEK
