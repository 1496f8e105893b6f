"""`python -m tests.torture`: three arenas at once, and the verdict on each. Exit code 1 where something is wrong."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.torture.arena import GENTLE, ROUGH, Arena, Task
from tests.torture.checker import Verdict, check
from tests.torture.disk import SmallDisk
from tests.torture.havoc import Havoc, calm_down

_KILLED = ("daemon killed", "tick killed", "run-now killed")
_PROGRESS_SECONDS = 15


@dataclass
class Ring:
    """An arena, what goes on in it, and the verdict at the end."""

    name: str
    arena: Arena
    havoc: Havoc
    disk: SmallDisk | None
    verdict: Verdict | None = None

    def judge(self) -> None:
        """End the havoc, let the arena calm down, and judge it."""
        self.havoc.stop()
        calm_down(self.arena)
        self.verdict = check(self.arena.folder)
        self.verdict.violations += self.havoc.failures


def main() -> int:
    """Torture for some minutes; returns the exit code."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="jarvis-torture-"))
    print(f"Torture for {options.minutes:g} minutes with --seed {options.seed}, in {folder}", flush=True)
    rings = [
        _ring(folder / "kills", GENTLE + ROUGH, options, kills=True),
        _ring(folder / "stops", GENTLE, options, kills=False, locks_long=options.minutes >= 2),
        _ring(folder / "disk", GENTLE + ROUGH, options, kills=True, small_disk=True),
    ]
    try:
        for ring in rings:
            ring.havoc.start()
        _wait(options.minutes * 60, rings)
        judges = [threading.Thread(target=ring.judge) for ring in rings]
        for judge in judges:
            judge.start()
        for judge in judges:
            judge.join()
        for ring in rings:
            print(f"{ring.name}: {ring.verdict}")
    finally:
        for ring in rings:
            ring.havoc.stop()
        fine = all(ring.verdict is not None and not ring.verdict.violations for ring in rings)
        for ring in rings:
            if ring.disk is not None:
                ring.disk.remove(keep=not fine)
    kills, stops = (sum(ring.arena.count(*events) for ring in rings) for events in (_KILLED, ["term"]))
    print(f"{'Survived' if fine else 'NOT SURVIVED'}: {kills} kills, {stops} stops by SIGTERM")
    if fine:
        shutil.rmtree(folder)
    else:
        print(f"The evidence is kept in {folder}")
    return 0 if fine else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--minutes", type=float, default=5, help="how long")
    parser.add_argument("--seed", default=str(int(time.time())), help="of all random choices")
    return parser.parse_args()


def _ring(
    folder: Path,
    tasks: list[Task],
    options: argparse.Namespace,
    *,
    kills: bool,
    locks_long: bool = False,
    small_disk: bool = False,
) -> Ring:
    disk = None
    if small_disk:
        try:
            disk = SmallDisk(folder / "data")
        except OSError as error:
            print(f"{folder.name}: no full disk, since no small one can be mounted ({error}); root can")
    folder.mkdir(mode=0o700, exist_ok=True)
    arena = Arena(folder, tasks, options.minutes * 60)
    havoc = Havoc(arena, f"{options.seed} {folder.name}", kills=kills, disk=disk, locks_long=locks_long)
    return Ring(folder.name, arena, havoc, disk)


def _wait(seconds: float, rings: list[Ring]) -> None:
    start = time.monotonic()
    while (gone := time.monotonic() - start) < seconds and not any(ring.havoc.failures for ring in rings):
        time.sleep(min(_PROGRESS_SECONDS, seconds - gone))
        figures = ", ".join(
            f"{ring.name}: {ring.arena.count(*_KILLED)} kills, {ring.arena.count('term')} stops" for ring in rings
        )
        print(f"{time.monotonic() - start:4.0f} s  {figures}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
