"""Each daemon is started as a process in a folder of its own, and stopped by SIGTERM while it sleeps. Started: until
its first tick is over (jarvis-trio), or until it says that it is ready (the peers, who have no tick). Stopped: from
the signal until the process is gone; the 99th percentile of all stops. `list` is the whole command on a terminal, with
the two usual tasks. `python -c pass` is the floor."""

from __future__ import annotations

import os
import time

from benchmarks.contestants import STANDING, JarvisCommand, Standing
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds, percentile99
from benchmarks.running import Process, environ, temporary_folder

_ASLEEP_AFTER_SECONDS = 0.1


def measure(quick: bool) -> list[Comparison]:
    """Seconds to start, milliseconds to stop, seconds for `list`."""
    rounds, stops, lists = (3, 3, 5) if quick else (7, 30, 15)
    stopped: dict[str, list[float]] = {each.name: [] for each in STANDING}

    def start(each: Standing) -> float:
        with temporary_folder() as folder:
            process, seconds = each.start(folder)
            time.sleep(_ASLEEP_AFTER_SECONDS)
            stopped[each.name].append(process.stop().seconds * 1000)
            return seconds

    starts = in_rounds(STANDING, rounds, start)
    for _ in range(stops - rounds):
        start(STANDING[0])
    goal = Goal("started", starts[0].median, 0.30, "s")
    return [
        Comparison("start", "Start to first tick", "s", [*starts, _floor(rounds)], [goal]),
        _stop(stopped),
        _list(lists),
    ]


def _stop(stopped: dict[str, list[float]]) -> Comparison:
    series = [Series(each.name, (percentile99(stopped[each.name]),), each.offers) for each in STANDING]
    return Comparison("stop", "SIGTERM asleep to exit, p99", "ms", series, [Goal("p99", series[0].median, 50, "ms")])


def _list(count: int) -> Comparison:
    command = [Environment.OWN.python, "-m", "jarvis_trio", "list"]
    with temporary_folder() as folder:
        JarvisCommand().command(folder, "init").end()
        series = Series("jarvis-trio list", tuple(_on_terminal(command, str(folder)) for _ in range(count)))
    goal = Goal("shown", series.median, 0.20, "s")
    return Comparison("list", "`list` at the prompt", "s", [series, _floor(count)], [goal])


def _floor(rounds: int) -> Series:
    seconds = [_on_terminal([Environment.OWN.python, "-c", "pass"], "") for _ in range(rounds)]
    return Series("python -c pass", tuple(seconds), "an interpreter that does nothing")


def _on_terminal(command: list[str], data_dir: str) -> float:
    """Seconds for a command whose output is a terminal."""
    ours, theirs = os.openpty()
    try:
        return Process(command, environ(JARVIS_DATA_DIR=data_dir, TERM="xterm-256color"), terminal=theirs).end().seconds
    finally:
        os.close(ours)
        os.close(theirs)
