"""`python -m benchmarks [--quick] [ROW ...]`: measure everything, or only the rows that are named."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks.environments import CHECKOUT, HERE, Environment
from benchmarks.report import verdict, write
from benchmarks.rows import ROWS
from benchmarks.running import BenchmarkError


def main() -> int:
    """Run the measurements and write the results: to build/ where a program failed. Returns 1 then."""
    rows = {row.__name__.rpartition(".")[2]: row for row in ROWS}
    parser = argparse.ArgumentParser("python -m benchmarks", description="Measure jarvis-trio beside its peers.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller numbers, written to build/")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these, written to build/: {', '.join(rows)}")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(rows):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; the rows are {', '.join(rows)}")
    for environment in Environment:
        environment.prepare()
    start = time.monotonic()
    measured = []
    failed = []
    for name in asked.rows or rows:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            found = rows[name].measure(asked.quick)
        except BenchmarkError as error:
            print(f"  failed: {error}", file=sys.stderr)
            failed.append(name)
            continue
        measured.append((rows[name], found))
        for comparison in found:
            for goal in comparison.goals:
                print(f"  {comparison.title}: {verdict(goal)}", file=sys.stderr)
    whole = not (asked.quick or asked.rows or failed)
    folder = HERE if whole else CHECKOUT / "build" / "bench"
    print(write(measured, folder, asked.quick, time.monotonic() - start))
    if failed:
        print(f"benchmarks: these failed, so the results are in {folder}: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
