"""The engine on a clock that is moved by hand: idle ticks in one process, whose resident memory is read twenty times
on the way. The growth is the slope of a line through the second half of the readings, over all ticks. Memory
comes in pages of 4 KiB, so a few of them are noise."""

from __future__ import annotations

from statistics import linear_regression

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import ask_in_folder

DOES = "growth of memory over a million ticks"
SECONDS, QUICK_SECONDS = 18, 5

_SAMPLES = 20
_NOISE_KIB = 64


def measure(quick: bool) -> list[Comparison]:
    """KiB that the ticks add."""
    ticks = 50_000 if quick else 1_000_000
    readings: list[int] = ask_in_folder(Environment.OWN, "jarvis_many", "growth", ticks=ticks, samples=_SAMPLES)
    later = readings[_SAMPLES // 2 :]
    growth_kib = linear_regression(range(len(later)), later).slope * _SAMPLES / 1024
    return [
        Comparison(
            "memory-growth",
            f"Growth of resident memory over {ticks:,} ticks",
            "KiB",
            [Series("jarvis-trio", (growth_kib,))],
            [Goal("growth", growth_kib, _NOISE_KIB, "KiB")],
            [f"{readings[0] / 2**20:.2f} MiB at first, {readings[-1] / 2**20:.2f} MiB at the end"],
        )
    ]
