"""All daemons stand idle at once, each with ten tasks (jarvis-trio with the two usual ones). Memory at the end of the
watch, as the kernel counts it: resident, and private, which is what it would get back (Private_* in smaps_rollup).
Resident memory counts pages of files that any second Python shares. A wake-up is a switch of a thread from waiting to
running; those that follow each other within 20 ms count once, since they wake the processor once. The watch lasts some
intervals of jarvis-trio's ticks, true ones of 60 s: two for wake-ups and CPU; in the quick form one of 20 s, counted as
if it were a minute. CPU is that of all threads, to the nanosecond. APScheduler and cronstable do not look for other
programs' writes; huey looks at its schedule each second. Linux only."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from benchmarks.contestants import STANDING, Contestant, JarvisCommand, Standing
from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import Process, temporary_folder

BARE_TRIO = Contestant("a bare `import trio`", Environment.OWN, "trio_floor", "waits for SIGTERM, and nothing else")
TRIO = Contestant("an empty trio daemon", Environment.OWN, "trio_floor", "wakes, and calls nothing in a thread")

_TOGETHER_SECONDS = 0.02
_SETTLING_SECONDS = 12  # trio's worker threads end 10 s after their last work


def measure(quick: bool) -> list[Comparison]:
    """Resident memory in MiB, and wake-ups a minute."""
    interval, intervals = (20, 1) if quick else (60, 2)
    ours = JarvisCommand(settings={"DAEMON_TICK_INTERVAL_SECONDS": str(interval)})
    floor = replace(TRIO, arguments={"seconds": interval})
    everybody: list[Standing] = [ours, BARE_TRIO, floor, *STANDING[1:]]
    with ExitStack() as stack:
        processes = []
        for each in everybody:
            process, _ = each.start(stack.enter_context(temporary_folder()))
            stack.callback(process.stop)
            processes.append(process)
        time.sleep(_SETTLING_SECONDS)
        used = [process.cpu_seconds() for process in processes]
        counts = _watch(processes, interval * intervals)
        used = [process.cpu_seconds() - before for process, before in zip(processes, used, strict=True)]
        memory = [psutil.Process(process.pid).memory_info().rss / 2**20 for process in processes]
        private = [_private_mib(process.pid) for process in processes]
    counted = {ours.name, floor.name}  # their intervals are cut, those of the others are not
    minutes = [intervals if each.name in counted else interval * intervals / 60 for each in everybody]
    wakeups = [count / passed for count, passed in zip(counts, minutes, strict=True)]
    cpu = [seconds * 1000 / passed for seconds, passed in zip(used, minutes, strict=True)]
    return [
        Comparison(
            "memory-private",
            "Private memory, idle",
            "MiB",
            [Series(each.name, (found,), each.offers) for each, found in zip(everybody, private, strict=True)],
            [
                Goal("private", private[0], 20, "MiB"),
                Goal("more than a bare trio", private[0] - private[1], 5, "MiB"),
            ],
        ),
        Comparison(
            "cpu-minute",
            "CPU of an idle minute",
            "ms of CPU",
            [Series(each.name, (found,), each.offers) for each, found in zip(everybody, cpu, strict=True)],
            [Goal("of an empty trio daemon's", cpu[0] / cpu[2], 1.25, "x")],
        ),
        Comparison(
            "memory-idle",
            "Resident memory, idle",
            "MiB",
            [Series(each.name, (found,), each.offers) for each, found in zip(everybody, memory, strict=True)],
            [Goal("resident", memory[0], 30, "MiB")],
        ),
        Comparison(
            "wake-ups",
            "Wake-ups, idle",
            "a minute",
            [Series(each.name, (found,), each.offers) for each, found in zip(everybody, wakeups, strict=True)],
            [Goal("wake-ups", wakeups[0], 2, "a minute")],
        ),
    ]


def _private_mib(pid: int) -> float:
    """The pages that no other process has (proc_pid_smaps)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _watch(processes: list[Process], seconds: float) -> list[int]:
    """How often each process woke in so many seconds."""
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
