"""The engine on a clock that is moved by hand, so many idle ticks in one process; resident memory is read twenty times
on the way. The growth is the slope of a line through the second half of the readings, scaled to a million ticks; what
one page of memory in that time would be is the noise."""

from __future__ import annotations

from itertools import pairwise
from statistics import linear_regression

from benchmarks.environments import Environment
from benchmarks.results import Comparison, Goal, Series
from benchmarks.running import ask_in_folder

_SAMPLES = 20
_NOISE_KIB = 64


def measure(quick: bool) -> list[Comparison]:
    """KiB that a million ticks add."""
    ticks = 50_000 if quick else 1_000_000
    readings: list[int] = ask_in_folder(Environment.OWN, "jarvis_many", "growth", ticks=ticks, samples=_SAMPLES)
    later = readings[_SAMPLES // 2 :]
    slope = linear_regression(range(len(later)), later).slope * _SAMPLES * 1_000_000 / ticks / 1024
    steps = sum(after != before for before, after in pairwise(readings))
    return [
        Comparison(
            "memory-growth",
            "Growth over a million ticks",
            "KiB",
            [Series("jarvis-trio", (slope,))],
            [Goal("growth", slope, _NOISE_KIB, "KiB")],
            [f"{readings[0] / 2**20:.1f} MiB at first, {readings[-1] / 2**20:.1f} MiB at the end, in {steps} steps"],
        )
    ]
