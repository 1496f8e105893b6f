"""`python -m benchmarks [--quick] [ROW ...]`: measure everything, or only the rows that are named."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from types import ModuleType

from benchmarks.environments import CHECKOUT, HERE, Environment
from benchmarks.report import Report, verdict
from benchmarks.rows import ROWS

PARTIAL = CHECKOUT / "build" / "bench"


def main() -> int:
    """Run the measurements and write the results, to build/ after each row. Returns 1 if a row failed."""
    asked = _arguments()
    for environment in Environment:
        environment.prepare()

    report = Report(asked.quick)
    rows = [row for row in ROWS if not asked.rows or _name(row) in asked.rows]
    for number, row in enumerate(rows):
        _announce(rows, number, asked.quick, report)
        _measure(row, report)
        tables = report.write(PARTIAL)
    if not asked.quick and not asked.rows:
        tables = report.write(HERE)

    print(f"{tables}, after {_clock(report.seconds)}")
    if report.failed:
        print(f"benchmarks: these rows failed: {', '.join(_name(row) for row in report.failed)}", file=sys.stderr)
    return bool(report.failed)


def _arguments() -> argparse.Namespace:
    names = ", ".join(_name(row) for row in ROWS)
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure jarvis-trio beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller numbers, written to build/")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these, written to build/: {names}")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - {_name(row) for row in ROWS}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; the rows are {names}")
    return asked


def _announce(rows: Sequence[ModuleType], number: int, quick: bool, report: Report) -> None:
    """Say which row comes, how long it takes, and how long what is left takes."""
    row, rest = rows[number], sum(_seconds(each, quick) for each in rows[number:])
    _say(
        f"row {number + 1} of {len(rows)}, {_name(row)}: {row.DOES}; about {_clock(_seconds(row, quick))}"
        f" ({_clock(report.seconds)} passed, about {_clock(rest)} left)"
    )


def _measure(row: ModuleType, report: Report) -> None:
    """Measure one row. One that fails costs the results of no other."""
    start = time.monotonic()
    try:
        found = row.measure(report.quick)
    except Exception as error:  # noqa: BLE001  # whatever it is, the other rows are worth an hour
        report.fail(row, f"{type(error).__name__}: {error}")
        _say(f"  failed: {report.failed[row]}")
        return

    report.add(row, found)
    for comparison in found:
        for goal in comparison.goals:
            _say(f"  {comparison.title}: {verdict(goal)}")
    for note in dict.fromkeys(note for comparison in found for note in comparison.notes):
        _say(f"  {note}")
    _say(f"  took {_clock(time.monotonic() - start)}")


def _name(row: ModuleType) -> str:
    return row.__name__.rpartition(".")[2]


def _seconds(row: ModuleType, quick: bool) -> int:
    seconds: int = row.QUICK_SECONDS if quick else row.SECONDS
    return seconds


def _clock(seconds: float) -> str:
    """Minutes and seconds: `3:05`."""
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
