"""The peers' environments, made from their locks when first needed.

APScheduler 3.11 and 4.0.0a6 are two versions of one package, so there are two.
"""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent


class Environment(StrEnum):
    """Where a program runs: ours is that of the checkout, the others are named like their locks."""

    OWN = "own"
    PEERS = "peers"
    APSCHEDULER4 = "apscheduler4"

    @property
    def python(self) -> str:
        """Its interpreter."""
        return sys.executable if self is Environment.OWN else str(self._folder / "bin" / "python")

    @property
    def _folder(self) -> Path:
        return HERE / ".venv" / self

    def prepare(self) -> None:
        """Install what its lock names, unless that was done already."""
        lock = HERE / "requirements" / f"{self}.txt"
        stamp = self._folder / "installed.txt"
        if self is Environment.OWN or (stamp.exists() and stamp.read_text() == lock.read_text()):
            return
        print(f"Setting up {self._folder.relative_to(CHECKOUT)} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self._folder], check=True)
        # One --quiet leaves warnings about indexes of the machine's own; errors come through two.
        pip = [self.python, "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
        stamp.write_text(lock.read_text())
