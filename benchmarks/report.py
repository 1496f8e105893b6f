"""Writes what was measured: raw JSON, charts, and the tables of RESULTS.md."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from benchmarks.chart import draw, figure
from benchmarks.results import Comparison, Goal

Measured = Sequence[tuple[ModuleType, Sequence[Comparison]]]


def write(measured: Measured, folder: Path, quick: bool, seconds: float) -> Path:
    """Write everything below `folder`. Returns the path of the tables."""
    charts = folder / "charts"
    charts.mkdir(parents=True, exist_ok=True)
    comparisons = [comparison for _, found in measured for comparison in found]
    for comparison in comparisons:
        (charts / f"{comparison.key}.svg").write_text(draw(comparison))
    raw = {"machine": machine(), "quick": quick, "comparisons": [asdict(each) for each in comparisons]}
    (folder / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
    tables = folder / "RESULTS.md"
    tables.write_text("\n".join(_lines(measured, quick, seconds)) + "\n")
    return tables


def machine() -> str:
    """What it was measured on."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"


def verdict(goal: Goal) -> str:
    """The goal, what was reached, and whether that does, in one line."""
    sign, met = ">=" if goal.at_least else "<=", "met" if goal.met else "MISSED"
    return f"{goal.text}: {figure(goal.value)} {goal.unit} ({sign} {figure(goal.limit)}: {met})"


def _lines(measured: Measured, quick: bool, seconds: float) -> Iterator[str]:
    made_by = "make bench-quick" if quick else "make bench"
    yield "# Results\n"
    yield f"Written by `{made_by}` in {seconds:.0f} s, in one run on one machine: {machine()}.\n"
    yield "Compare ratios, not absolute figures. Each value is the median of the rounds, with the lowest and the"
    yield "highest beside it; a ratio is the median of the rounds' own ratios. What each part costs and why is in"
    yield "[performance.md](../docs/performance.md); every single value is in [results.json](results.json).\n"
    yield "| what | goal | measured | |"
    yield "|---|---|---|---|"
    for _, found in measured:
        for comparison in found:
            yield from (_goal_row(comparison, goal) for goal in comparison.goals)
    for module, found in measured:
        yield f"\n## {found[0].title if len(found) == 1 else _heading(module)}\n"
        yield module.__doc__ or ""
        for comparison in found:
            yield from _section(comparison, titled=len(found) > 1)


def _heading(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2].replace("_", " ").capitalize()


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
