"""Each daemon is started as a process in a folder of its own, and stopped by SIGTERM while it sleeps. Started: until
its first tick is over (jarvis-trio), or until it says that it is ready (the peers, who have no tick). Stopped: from
the signal until the process is gone; the 99th percentile of all stops. `list` is the whole command on a terminal, with
the two usual tasks. `python -c pass` is the floor."""

from __future__ import annotations

import os
import time

from benchmarks.contestants import FIRST_RELEASE, STANDING, JarvisCommand, Standing
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series, in_rounds, percentile99
from benchmarks.running import Process, environ, temporary_folder

_ASLEEP_AFTER_SECONDS = 0.1
RELEASES = (JarvisCommand(), FIRST_RELEASE)
EVERYBODY: tuple[Standing, ...] = (*RELEASES, *STANDING[1:])


def measure(quick: bool) -> list[Comparison]:
    """Seconds to start, milliseconds to stop, seconds for `list`."""
    rounds, stops, lists = (3, 3, 5) if quick else (7, 30, 15)
    stopped: dict[str, list[float]] = {each.name: [] for each in EVERYBODY}

    def start(each: Standing) -> float:
        with temporary_folder() as folder:
            process, seconds = each.start(folder)
            time.sleep(_ASLEEP_AFTER_SECONDS)
            stopped[each.name].append(process.stop().seconds * 1000)
            return seconds

    starts = in_rounds(EVERYBODY, rounds, start)
    for _ in range(stops - rounds):
        for release in RELEASES:
            start(release)
    goals = [
        Goal("started", starts[0].median, 0.30, "s"),
        Goal("against 1.0.0", starts[0].ratio_to(starts[1]), 1.05, "x"),
    ]
    return [
        Comparison("start", "Start to first tick", "s", [*starts, _floor(rounds)], goals),
        _stop(stopped),
        _list(lists),
    ]


def _stop(stopped: dict[str, list[float]]) -> Comparison:
    series = [Series(each.name, (percentile99(stopped[each.name]),), each.offers) for each in EVERYBODY]
    goals = [
        Goal("p99", series[0].median, 50, "ms"),
        Goal("against 1.0.0", series[0].ratio_to(series[1]), 1.05, "x"),
    ]
    return Comparison("stop", "SIGTERM asleep to exit, p99", "ms", series, goals)


def _list(count: int) -> Comparison:
    with temporary_folder() as folder:
        RELEASES[1].command(folder, "init").end()  # which both of them read

        def show(release: JarvisCommand) -> float:
            return _on_terminal(release.words("list"), str(folder), release.environment)

        ours, first = in_rounds(RELEASES, count, show)
    goals = [Goal("shown", ours.median, 0.20, "s"), Goal("against 1.0.0", ours.ratio_to(first), 1.05, "x")]
    return Comparison("list", "`list` at the prompt", "s", [ours, first, _floor(count)], goals)


def _floor(rounds: int) -> Series:
    seconds = [_on_terminal([Environment.OWN.python, "-c", "pass"], "") for _ in range(rounds)]
    return Series("python -c pass", tuple(seconds), "an interpreter that does nothing")


def _on_terminal(command: list[str], data_dir: str, environment: Environment = Environment.OWN) -> float:
    """Seconds for a command whose output is a terminal."""
    ours, theirs = os.openpty()
    try:
        env = environ(environment, JARVIS_DATA_DIR=data_dir, TERM="xterm-256color")
        return Process(command, env, terminal=theirs).end().seconds
    finally:
        os.close(ours)
        os.close(theirs)
