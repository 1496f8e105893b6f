"""What was measured: series of rounds, and whether they reach the goals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Protocol, TypeVar

from benchmarks.running import BenchmarkError


@dataclass(frozen=True, slots=True)
class Series:
    """What one contestant showed: a value for each round, and how its work differs."""

    name: str
    values: tuple[float, ...]
    offers: str = ""

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return median(self.values)

    def ratio_to(self, other: Series) -> float:
        """How many times the other's value this one is: the middle of the rounds' own ratios.

        Within a round both met the same machine; over the rounds that may have changed.
        """
        return median(mine / theirs for mine, theirs in zip(self.values, other.values, strict=True))


@dataclass(frozen=True, slots=True)
class Goal:
    """What was to be reached, and what was: at most `limit`, or at least that if `at_least`."""

    text: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing that was measured, for ourselves (the first series) and for the others."""

    key: str
    title: str
    unit: str
    series: Sequence[Series]
    goals: Sequence[Goal]
    notes: Sequence[str] = field(default=())


class Named(Protocol):
    """Something with a name and what it offers."""

    @property
    def name(self) -> str:
        """Its name in the tables."""

    @property
    def offers(self) -> str:
        """How its work differs."""


_Named = TypeVar("_Named", bound=Named)


def in_rounds(
    contestants: Sequence[_Named],
    rounds: int,
    measure: Callable[[_Named], float],
    longest_seconds: float = math.inf,
) -> list[Series]:
    """Measure all of them in each round, one after the other, so that each round met one state of the machine.

    After `longest_seconds` no further round begins: on a slow machine there are fewer rounds, and
    the whole run still ends in time.
    """
    until = time.monotonic() + longest_seconds
    values: list[list[float]] = []
    while not values or (len(values) < rounds and time.monotonic() < until):
        values.append([_measured(measure, contestant) for contestant in contestants])
    columns = zip(*values, strict=True)
    return [Series(each.name, column, each.offers) for each, column in zip(contestants, columns, strict=True)]


def _measured(measure: Callable[[_Named], float], contestant: _Named) -> float:
    """What was measured. A program that fails is tried once more, since it would cost the others their results."""
    try:
        return measure(contestant)
    except BenchmarkError:
        return measure(contestant)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not exceed."""
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def best_of(series: Sequence[Series]) -> Series:
    """The one with the lowest median."""
    return min(series, key=lambda each: each.median)
