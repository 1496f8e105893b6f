"""How late several schedulers are in the same rounds: all of them run at once, and take turns.

Each has a slot every period, and a phase of its own in it. The phases are spread evenly, so that
nobody's slot meets another's, and what happens to the machine happens to all of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.chart import figure
from benchmarks.contestants import Punctual
from benchmarks.results import Comparison, Goal, Series, best_of, percentile
from benchmarks.running import BenchmarkError, Process, temporary_folder


@dataclass(frozen=True, slots=True)
class Turns:
    """The slots of one measurement: `count` for each scheduler, one every period, each of `tasks` tasks.

    Everything has to be stored within `prepare_seconds`, before the first slot.
    """

    count: int
    period_seconds: float
    prepare_seconds: float
    tasks: int = 1

    def begin(self) -> float:
        """The instant of the first slot, in seconds since 1970: a whole period of the wall clock."""
        ready_at = time.time() + self.prepare_seconds
        return math.ceil(ready_at / self.period_seconds) * self.period_seconds

    def instants(self, begins_at: float, phase: float) -> list[float]:
        """The instants of the scheduler whose slots come `phase` periods later, each as often as it has tasks."""
        first = begins_at + phase * self.period_seconds
        slots = [first + number * self.period_seconds for number in range(self.count)]
        return [slot for slot in slots for _ in range(self.tasks)]


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Who was late by how many milliseconds, each time; and notes of those that failed."""

    found: Sequence[tuple[Punctual, Sequence[float]]]
    notes: Sequence[str]

    def comparison(
        self, key: str, title: str, percent: int, *, limit_ms: float | None = None, limit_ratio: float | None = None
    ) -> Comparison:
        """What `percent` of 100 slots do not exceed.

        Its goals are that ours is at most `limit_ms`, and at most `limit_ratio` of the best peer's.
        Version 1.0.0 is not a peer.
        """
        series = [
            Series(each.name, (percentile(late_ms, percent),), f"{each.offers} ({_in_words(late_ms)})")
            for each, late_ms in self.found
        ]
        ours, best = series[0], best_of([each for each in series if not each.name.startswith("jarvis-trio")])
        goals = []
        if limit_ms is not None:
            goals.append(Goal(f"of {len(self.found[0][1]):,} slots", ours.median, limit_ms, "ms"))
        if limit_ratio is not None:
            goals.append(Goal(f"of the best peer's ({best.name})", ours.ratio_to(best), limit_ratio, "x"))
        return Comparison(key, f"{title}, p{percent}", "ms", series, goals, self.notes)


def take_turns(
    contestants: Sequence[Punctual], turns: Turns, busy: int = 0, phases: Sequence[float] = ()
) -> Punctuality:
    """Run all of them at once, the first of which is ours, while `busy` long jobs hold threads of each.

    `phases` are fractions of the period; by default they are spread evenly. Raises BenchmarkError
    if ours failed; another that failed is left out, with a note.
    """
    phases = phases or [place / len(contestants) for place in range(len(contestants))]
    begins_at = turns.begin()
    found: list[tuple[Punctual, Sequence[float]]] = []
    notes = []
    with ExitStack() as stack:
        running = [
            _start(each, turns.instants(begins_at, phase), busy, stack)
            for each, phase in zip(contestants, phases, strict=True)
        ]
        for each, (_, late_ms) in zip(contestants, running, strict=True):
            try:
                found.append((each, late_ms()))
            except BenchmarkError as error:
                if each is contestants[0]:
                    raise
                notes.append(f"{each.name} failed: {error}")
    return Punctuality(found, notes)


def _start(
    contestant: Punctual, instants: Sequence[float], busy: int, stack: ExitStack
) -> tuple[Process, Callable[[], list[float]]]:
    folder = stack.enter_context(temporary_folder())
    process, late_ms = contestant.keep_time(folder, instants, busy)
    stack.callback(process.kill)
    return process, late_ms


def _in_words(late_ms: Sequence[float]) -> str:
    """What the percentile of a table does not tell: how many there were, and the worst of them."""
    slots = f"{len(late_ms):,} slots" if len(late_ms) > 1 else "one slot"
    return f"{slots}, p90 {figure(percentile(late_ms, 90))} ms, the worst {figure(max(late_ms))} ms"
