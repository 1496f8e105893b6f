"""All daemons stand idle at once, each with ten tasks (jarvis-trio with the two usual ones). Resident memory at the end
of the watch, as the kernel counts it. A wake-up is a switch of a thread from waiting to running; those that follow each
other within 20 ms count once, since they wake the processor once. The watch lasts some intervals of jarvis-trio's
ticks: two of 60 s, in the quick form one of 20 s, counted as if it were a minute. Linux only: macOS does not tell the
switches of another process."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.contestants import STANDING, JarvisCommand, Standing
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import Process, temporary_folder

_TOGETHER_SECONDS = 0.02
_SETTLING_SECONDS = 12  # trio's worker threads end 10 s after their last work


def measure(quick: bool) -> list[Comparison]:
    """Resident memory in MiB, and wake-ups a minute."""
    interval, intervals = (20, 1) if quick else (60, 2)
    ours = JarvisCommand(settings={"DAEMON_TICK_INTERVAL_SECONDS": str(interval)})
    everybody: list[Standing] = [ours, *STANDING[1:]]
    with ExitStack() as stack:
        processes = []
        for each in everybody:
            process, _ = each.start(stack.enter_context(temporary_folder()))
            stack.callback(process.stop)
            processes.append(process)
        time.sleep(_SETTLING_SECONDS)
        counts = _watch(processes, interval * intervals)
        memory = [psutil.Process(process.pid).memory_info().rss / 2**20 for process in processes]
    minutes = [intervals, *(interval * intervals / 60 for _ in STANDING[1:])]
    wakeups = [count / passed for count, passed in zip(counts, minutes, strict=True)]
    return [
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
