"""All daemons stand idle at once, each with ten tasks (jarvis-trio with the two usual ones). The watch lasts two of
jarvis-trio's intervals, true ones of 60 s; in the quick form one of 20 s, which counts as a minute. CPU is that of all
threads, to the nanosecond, those that have ended too, while nobody looks. Memory is read at the end, as the kernel
counts it: resident, and private, which is what it would get back (Private_* in smaps_rollup); resident memory counts
pages of files that any second Python shares. A wake-up is a switch of a thread from waiting to running; those within 20
ms count once, since they wake the processor once; they are counted in one more interval, since to look each 20 ms keeps
the machine awake. One more jarvis-trio runs a task each 20 s: what that adds, divided by its runs, is a lone run's CPU.
APScheduler and cronstable do not look for other programs' writes; huey looks at its schedule each second, and so does
DBOS at its queue; cron is written in C. Linux only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psutil

from benchmarks.contestants import FIRST_RELEASE, STANDING, Contestant, JarvisCommand, Standing
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import Process, temporary_folder
from benchmarks.system_schedulers import cron, notes

DOES = "memory, CPU and wake-ups of idle daemons, two true minutes"
SECONDS, QUICK_SECONDS = 205, 60

OURS = JarvisCommand()
LONE_RUNS = JarvisCommand(
    "jarvis-trio, a run each 20 s",
    "the same, with three runs of `alert_eval` a minute",
    edits=[("edit", "alert_eval", "--every", "20s")],
)
BARE_TRIO = Contestant("a bare `import trio`", Environment.OWN, "trio_floor", "waits for SIGTERM, and nothing else")
TRIO = Contestant("an empty trio daemon", Environment.OWN, "trio_floor", "wakes, and calls nothing in a thread")

_TOGETHER_SECONDS = 0.02
_SETTLING_SECONDS = 12  # trio's worker threads end 10 s after their last work


@dataclass(frozen=True, slots=True)
class Watched:
    """A daemon, and what was seen of it: CPU in milliseconds and wake-ups, for one minute; MiB; runs in all."""

    daemon: Standing
    cpu_ms: float
    wakeups: float
    private_mib: float
    resident_mib: float
    runs: int


@dataclass(frozen=True, slots=True)
class Watch:
    """How long the daemons are watched: a number of our intervals, each counted as a minute of ours."""

    interval_seconds: int
    intervals: int

    @property
    def seconds(self) -> int:
        """How long it lasts."""
        return self.interval_seconds * self.intervals

    def minutes_of(self, daemon: Standing) -> float:
        """The minutes that a daemon is counted by: our intervals may be cut, those of the others are not."""
        cut = daemon.name in (OURS.name, FIRST_RELEASE.name, TRIO.name)
        return self.intervals if cut else self.seconds / 60


def measure(quick: bool) -> list[Comparison]:
    """Private and resident memory in MiB, CPU and wake-ups of a minute, and the CPU of a run."""
    watch = Watch(20, 1) if quick else Watch(60, 2)
    seen = _watch_all(_everybody(watch), watch)
    ours, _, lone, bare, trio, *_ = seen
    return [
        _comparison(
            "memory-private",
            "Private memory, idle",
            "MiB",
            seen,
            lambda one: one.private_mib,
            [
                Goal("private", ours.private_mib, 20, "MiB"),
                Goal("more than a bare `import trio`", ours.private_mib - bare.private_mib, 5, "MiB"),
            ],
            list(notes()),
        ),
        _comparison(
            "cpu-minute",
            "CPU of an idle minute",
            "ms of CPU",
            seen,
            lambda one: one.cpu_ms,
            [
                Goal("of an empty trio daemon's", ours.cpu_ms / trio.cpu_ms, 1.25, "x"),
                Goal("added by a lone run", _lone_run_ms(ours, lone, watch), 3, "ms"),
            ],
        ),
        _comparison(
            "memory-idle",
            "Resident memory, idle",
            "MiB",
            seen,
            lambda one: one.resident_mib,
            [Goal("resident", ours.resident_mib, 30, "MiB")],
        ),
        _comparison(
            "wake-ups",
            "Wake-ups, idle",
            "a minute",
            seen,
            lambda one: one.wakeups,
            [Goal("wake-ups", ours.wakeups, 2, "a minute")],
        ),
    ]


def _everybody(watch: Watch) -> list[Standing]:
    """Who is watched: the first five are ours, 1.0.0, ours with runs, and the two floors."""
    settings = {"DAEMON_TICK_INTERVAL_SECONDS": str(watch.interval_seconds)}
    releases = [replace(each, settings=settings) for each in (OURS, FIRST_RELEASE, LONE_RUNS)]
    floor = replace(TRIO, arguments={"seconds": watch.interval_seconds})
    return [*releases, BARE_TRIO, floor, *STANDING, *cron()]


def _watch_all(daemons: Sequence[Standing], watch: Watch) -> list[Watched]:
    """Start all of them, and watch them while they stand idle."""
    with ExitStack() as stack:
        folders = [stack.enter_context(temporary_folder()) for _ in daemons]
        processes = [_start(each, folder, stack) for each, folder in zip(daemons, folders, strict=True)]
        time.sleep(_SETTLING_SECONDS)

        # Nobody looks into a database meanwhile: some daemons would notice.
        since, before = time.time(), [process.cpu_seconds() for process in processes]
        time.sleep(watch.seconds)
        until, after = time.time(), [process.cpu_seconds() for process in processes]
        woken = _wakeups(processes, watch.interval_seconds)
        return [
            Watched(
                each,
                (now - then) * 1000 / watch.minutes_of(each),
                count * watch.intervals / watch.minutes_of(each),
                _private_mib(process.pid),
                psutil.Process(process.pid).memory_info().rss / 2**20,
                _runs(folder, since, until),
            )
            for each, folder, process, then, now, count in zip(
                daemons, folders, processes, before, after, woken, strict=True
            )
        ]


def _start(daemon: Standing, folder: Path, stack: ExitStack) -> Process:
    process, _ = daemon.start(folder)
    stack.callback(process.kill)
    return process


def _lone_run_ms(ours: Watched, lone: Watched, watch: Watch) -> float:
    """The CPU that a run adds: of the daemon with runs, less that of the one without, divided by the runs."""
    added_ms = lone.cpu_ms * watch.minutes_of(lone.daemon) - ours.cpu_ms * watch.minutes_of(ours.daemon)
    return added_ms / max(lone.runs, 1)


def _comparison(
    key: str,
    title: str,
    unit: str,
    seen: Sequence[Watched],
    figure: Callable[[Watched], float],
    goals: Sequence[Goal],
    left_out: Sequence[str] = (),
) -> Comparison:
    series = [Series(one.daemon.name, (figure(one),), one.daemon.offers) for one in seen]
    return Comparison(key, title, unit, series, goals, left_out)


def _runs(folder: Path, since: float, until: float) -> int:
    """The runs of a time (seconds since 1970) in the history, if the daemon of this folder keeps one."""
    if not (folder / "memory.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{folder / 'memory.db'}?mode=ro", uri=True)) as connection:
        starts = [datetime.fromisoformat(at) for (at,) in connection.execute("SELECT started_at FROM task_runs")]
    return sum(since <= start.timestamp() < until for start in starts)


def _private_mib(pid: int) -> float:
    """The pages that no other process has (proc_pid_smaps)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _wakeups(processes: Sequence[Process], seconds: float) -> list[int]:
    """How often each process wakes in the next `seconds`."""
    switches = [_switches(process.pid) for process in processes]
    counts = [0] * len(processes)
    awake = [False] * len(processes)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(_TOGETHER_SECONDS)
        now = [_switches(process.pid) for process in processes]
        for number, (before, after) in enumerate(zip(switches, now, strict=True)):
            counts[number] += after != before and not awake[number]
            awake[number] = after != before
        switches = now
    return counts


def _switches(pid: int) -> dict[str, str]:
    """The voluntary switches of each thread, as the kernel counts them: proc_pid_status(5)."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (thread / "status").read_text()
        except OSError:  # it has ended meanwhile
            continue
        found[thread.name] = status.partition("\nvoluntary_ctxt_switches:")[2].split()[0]
    return found
