"""Writes what was measured: raw JSON, charts, and the tables of RESULTS.md."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from benchmarks.chart import draw, figure
from benchmarks.results import Comparison, Goal
from jarvis_trio import __version__


class Report:
    """What one run has measured so far, and which rows failed."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self.failed: dict[ModuleType, str] = {}
        self._measured: list[tuple[ModuleType, Sequence[Comparison]]] = []
        self._started_at = datetime.now(UTC)
        self._start = time.monotonic()
        self._load = os.getloadavg()[0]

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def add(self, row: ModuleType, found: Sequence[Comparison]) -> None:
        """Take what a row has measured."""
        self._measured.append((row, found))

    def fail(self, row: ModuleType, reason: str) -> None:
        """Note that a row failed, and why."""
        self.failed[row] = reason

    def write(self, folder: Path) -> Path:
        """Write everything below `folder`, in place of what an earlier run wrote. Returns the path of the tables."""
        charts = folder / "charts"
        charts.mkdir(parents=True, exist_ok=True)
        for chart in charts.glob("*.svg"):
            chart.unlink()
        comparisons = [comparison for _, found in self._measured for comparison in found]
        for comparison in comparisons:
            (charts / f"{comparison.key}.svg").write_text(draw(comparison))

        raw = {"machine": machine(), "quick": self.quick, "comparisons": [asdict(each) for each in comparisons]}
        (folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
        tables = folder / "RESULTS.md"
        tables.write_text("\n".join(self._lines()) + "\n")
        return tables

    def _lines(self) -> Iterator[str]:
        yield "# Results\n"
        made_by = "make bench-quick" if self.quick else "make bench"
        yield f"Written by `{made_by}` for version {__version__}, in one run on one machine:"
        yield f"{machine()}. It began on {self._started_at:%d %B %Y},"
        yield f"at a load average of {self._load:.1f}, and took {self.seconds / 60:.1f} minutes.\n"
        yield "Compare ratios, not absolute figures. Each value is the median of the rounds, with the lowest and the"
        yield "highest beside it; a ratio is the median of the rounds' own ratios. What each part costs and why is in"
        yield "[performance.md](../docs/performance.md); the rounds' values are in [results.json](results.json).\n"
        for row, reason in self.failed.items():
            yield f"Not measured, since it failed: {row.DOES} ({reason}).\n"
        yield from self._goals()
        for row, found in self._measured:
            yield f"\n## {found[0].title if len(found) == 1 else _heading(row)}\n"
            yield row.__doc__ or ""
            for comparison in found:
                yield from _section(comparison, titled=len(found) > 1)

    def _goals(self) -> Iterator[str]:
        yield "| what | goal | measured | |"
        yield "|---|---|---|---|"
        for _, found in self._measured:
            for comparison in found:
                yield from (_goal_row(comparison, goal) for goal in comparison.goals)


def machine() -> str:
    """What it was measured on."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def verdict(goal: Goal) -> str:
    """The goal, what was reached, and whether that does, in one line."""
    sign, met = ">=" if goal.at_least else "<=", "met" if goal.met else "MISSED"
    return f"{goal.text}: {f'{figure(goal.value)} {goal.unit}'.rstrip()} ({sign} {figure(goal.limit)}: {met})"


def _heading(module: ModuleType) -> str:
    return str(module.DOES[0].upper() + module.DOES[1:])


def _goal_row(comparison: Comparison, goal: Goal) -> str:
    sign = "at least" if goal.at_least else "at most"
    met = "met" if goal.met else "**missed**"
    limit, value = (f"{figure(each)} {goal.unit}".rstrip() for each in (goal.limit, goal.value))
    return f"| {comparison.title}: {goal.text} | {sign} {limit} | {value} | {met} |"


def _section(comparison: Comparison, *, titled: bool) -> Iterator[str]:
    if titled:
        yield f"\n### {comparison.title}"
    yield f"\n![{comparison.title}](charts/{comparison.key}.svg)\n"
    yield f"| | {comparison.unit} | lowest to highest | against ours | |"
    yield "|---|--:|--:|--:|---|"
    ours = comparison.series[0]
    for series in comparison.series:
        spread = f"{figure(min(series.values))} to {figure(max(series.values))}" if len(series.values) > 1 else ""
        against = f"{figure(series.ratio_to(ours))} x" if series is not ours and ours.median else ""
        yield f"| {series.name} | {figure(series.median)} | {spread} | {against} | {series.offers} |"
    for note in comparison.notes:
        yield f"\n{note}."
