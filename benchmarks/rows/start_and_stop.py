"""Each daemon is started as a process in a folder of its own, and stopped by SIGTERM while it sleeps. Started: until
its first tick is over (jarvis-trio), or until it says that it is ready (the peers, who have no tick). Stopped: from
the signal until the process is gone. jarvis-trio and its first release are stopped 100 times, in turn, at least half a
second after their start, and the 99th percentile counts; the peers once in each round of starts. `list` is the whole
command on a terminal, with the two usual tasks. `python -c pass` is the floor."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks.contestants import FIRST_RELEASE, STANDING, JarvisCommand, Standing
from benchmarks.results import Comparison, Goal, Series, in_rounds, percentile
from benchmarks.running import temporary_folder
from benchmarks.terminal import floor, seconds_on_terminal

DOES = "start to the first tick, SIGTERM to the end, and `list`"
SECONDS, QUICK_SECONDS = 100, 30

RELEASES = (JarvisCommand(), FIRST_RELEASE)
_ASLEEP_AFTER_SECONDS = 0.5
_BATCH = 5


def measure(quick: bool) -> list[Comparison]:
    """Seconds to start, milliseconds to stop, seconds for `list`."""
    rounds, batches, lists = (2, 1, 5) if quick else (5, 20, 15)
    stopped_ms: dict[str, list[float]] = {each.name: [] for each in (*RELEASES, *STANDING)}

    def start(each: Standing) -> float:
        with temporary_folder() as folder:
            process, seconds = each.start(folder)
            time.sleep(_ASLEEP_AFTER_SECONDS)
            stopped_ms[each.name].append(process.stop().seconds * 1000)
            return seconds

    starts = in_rounds((*RELEASES, *STANDING), rounds, start, SECONDS / 2)
    for each, milliseconds in _stop_in_batches(batches):
        stopped_ms[each.name].append(milliseconds)
    goals = [
        Goal("started", starts[0].median, 0.30, "s"),
        Goal("against 1.0.0", starts[0].ratio_to(starts[1]), 1.05, "x"),
    ]
    return [
        Comparison("start", "Start to first tick", "s", [*starts, floor(len(starts[0].values))], goals),
        _stop(stopped_ms),
        _list(lists),
    ]


def _stop_in_batches(batches: int) -> Iterator[tuple[JarvisCommand, float]]:
    """Milliseconds of each stop: some daemons of both releases are started, and stopped once all of them sleep."""
    with ExitStack() as stack:
        daemons = [(each, stack.enter_context(temporary_folder())) for each in RELEASES * _BATCH]
        for _ in range(batches):
            running = []
            for each, folder in daemons:
                process, _ = each.start(folder)
                stack.callback(process.kill)
                running.append((each, process))
            time.sleep(_ASLEEP_AFTER_SECONDS)
            for each, process in running:
                yield each, process.stop().seconds * 1000


def _stop(stopped_ms: dict[str, list[float]]) -> Comparison:
    everybody: Sequence[Standing] = (*RELEASES, *STANDING)
    series = [_stops_of(each, stopped_ms[each.name]) for each in everybody]
    goals = [
        Goal("p99", series[0].median, 50, "ms"),
        Goal("against 1.0.0", series[0].ratio_to(series[1]), 1.05, "x"),
    ]
    return Comparison("stop", "SIGTERM asleep to exit, p99", "ms", series, goals)


def _stops_of(each: Standing, milliseconds: Sequence[float]) -> Series:
    stops = f"{len(milliseconds)} stops, median {percentile(milliseconds, 50):.1f} ms"
    return Series(each.name, (percentile(milliseconds, 99),), f"{each.offers} ({stops})")


def _list(count: int) -> Comparison:
    with temporary_folder() as folder:
        FIRST_RELEASE.command(folder, "init").end()  # which both of them read

        def show(release: JarvisCommand) -> float:
            return seconds_on_terminal(release.words("list"), str(folder), release.environment)

        ours, first = in_rounds(RELEASES, count, show)
    goals = [Goal("shown", ours.median, 0.20, "s"), Goal("against 1.0.0", ours.ratio_to(first), 1.05, "x")]
    return Comparison("list", "`list` at the prompt", "s", [ours, first, floor(count)], goals)
