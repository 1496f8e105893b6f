"""`python -m tests.laws.torture`: five arenas at once, and a verdict on each. Exit 1: something is wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.laws.torture.arena import GENTLE, ROUGH, Arena, Task
from tests.laws.torture.checker import Verdict, check
from tests.laws.torture.disk import SmallDisk
from tests.laws.torture.havoc import Havoc, calm_down
from tests.support.jumping_clock import ClockMissingError, JumpingClock

_KILLED = ("daemon killed", "tick killed", "run-now killed")
_PROGRESS_SECONDS = 15


class Ring:
    """An arena, the havoc in it, and the verdict at the end."""

    def __init__(
        self,
        folder: Path,
        tasks: list[Task],
        options: argparse.Namespace,
        *,
        kills: bool = False,
        locks_long: bool = False,
        small_disk: bool = False,
        clock_jumps: bool = False,
    ) -> None:
        self.name = folder.name
        self.verdict = Verdict(violations=["it was not judged"])
        self._folder = folder
        self._disk = _mounted(folder / "data") if small_disk else None
        folder.mkdir(mode=0o700, exist_ok=True)
        clock = _clock(folder) if clock_jumps else None
        self.arena = Arena(folder, tasks, options.minutes * 60, clock)
        seed = f"{options.seed} {folder.name}"
        self.havoc = Havoc(self.arena, seed, kills=kills, disk=self._disk, locks_long=locks_long)

    def judge(self) -> None:
        """End the havoc, let the arena calm down, and judge it."""
        self.havoc.stop()
        calm_down(self.arena)
        self.verdict = check(self._folder)
        self.verdict.violations += self.havoc.failures

    def figures(self) -> str:
        """How much it has gone through so far."""
        return f"{self.name}: {self.arena.count(*_KILLED)} kills, {self.arena.count('term')} stops"

    def clean_up(self, *, keep: bool) -> None:
        """Leave nothing mounted; keep the evidence, or not."""
        self.havoc.stop()
        if self._disk is not None:
            self._disk.remove(keep=keep)


def _clock(folder: Path) -> JumpingClock | None:
    try:
        return JumpingClock(folder)
    except ClockMissingError as error:
        print(f"No clock jumps: {error}")
        return None


def _mounted(folder: Path) -> SmallDisk | None:
    try:
        return SmallDisk(folder)
    except OSError as error:
        print(f"No disk is filled, since no small one can be mounted ({error}); root can")
        return None


def main() -> int:
    """Torture for some minutes; returns the exit code."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="jarvis-torture-"))
    print(f"Torture for {options.minutes:g} minutes with --seed {options.seed}, in {folder}", flush=True)
    rings = [
        Ring(folder / "kills", GENTLE + ROUGH, options, kills=True),
        Ring(folder / "disk", GENTLE + ROUGH, options, kills=True, small_disk=True),
        Ring(folder / "stops", GENTLE, options),
        Ring(folder / "locks", GENTLE, options, locks_long=True),
        Ring(folder / "clocks", GENTLE, options, clock_jumps=True),
    ]
    fine = False
    try:
        _torture(rings, options.minutes * 60)
        fine = not any(ring.verdict.violations for ring in rings)
    finally:
        for ring in rings:
            ring.clean_up(keep=not fine)
    for ring in rings:
        print(f"{ring.name}: {ring.verdict}")
    counts = sum((ring.verdict.counts for ring in rings), Counter[str]())
    kills = sum(counts[what] for what in _KILLED)
    print(f"{'Survived' if fine else 'NOT SURVIVED'}: {kills} kills, {counts['term']} stops by SIGTERM")
    if fine:
        shutil.rmtree(folder)
    else:
        print(f"The evidence is kept in {folder}")
    return 0 if fine else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.laws.torture")
    parser.add_argument("--minutes", type=float, default=5, help="how long")
    parser.add_argument("--seed", default=str(int(time.time())), help="of all random choices")
    return parser.parse_args()


def _torture(rings: list[Ring], seconds: float) -> None:
    start = time.monotonic()
    for ring in rings:
        ring.havoc.start()
    while (gone := time.monotonic() - start) < seconds and not any(ring.havoc.failures for ring in rings):
        time.sleep(min(_PROGRESS_SECONDS, seconds - gone))
        print(f"{time.monotonic() - start:4.0f} s  {'; '.join(ring.figures() for ring in rings)}", flush=True)
    judges = [threading.Thread(target=ring.judge) for ring in rings]
    for judge in judges:
        judge.start()
    for judge in judges:
        judge.join()


if __name__ == "__main__":
    sys.exit(main())
