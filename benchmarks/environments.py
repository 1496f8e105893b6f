"""The peers' environments, made from their locks when first needed.

APScheduler 3.11 and 4.0.0a6 are two versions of one package, and DBOS pins other versions than both.
"""

from __future__ import annotations

import compileall
import io
import os
import subprocess
import sys
import tarfile
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
FIRST_RELEASE = "ac5f11a800dd9a47c692bcf69ada73bf2f9b74bb"
"""The commit of version 1.0.0, with which this version is compared in the same rounds."""


class Environment(StrEnum):
    """Where a program runs: ours is that of the checkout, the others are named like their locks."""

    OWN = "own"
    FIRST = "first"
    PEERS = "peers"
    APSCHEDULER4 = "apscheduler4"
    DBOS = "dbos"

    @property
    def python(self) -> str:
        """Its interpreter."""
        ours = self in (Environment.OWN, Environment.FIRST)
        return sys.executable if ours else str(self._folder / "bin" / "python")

    @property
    def package_path(self) -> str:
        """The folder in which `jarvis_trio` is found: the checkout, or version 1.0.0 beside it."""
        return str(self._folder if self is Environment.FIRST else CHECKOUT)

    @property
    def _folder(self) -> Path:
        return HERE / ".venv" / self

    def prepare(self) -> None:
        """Install what its lock names, unless that was done already."""
        if self is Environment.FIRST:
            self._unpack()
        if self in (Environment.OWN, Environment.FIRST):
            # As pip does for the peers. With PYTHONDONTWRITEBYTECODE set, each start would compile again.
            compileall.compile_dir(Path(self.package_path, "jarvis_trio"), quiet=1)
            return
        lock = HERE / "requirements" / f"{self}.txt"
        stamp = self._folder / "installed.txt"
        if stamp.exists() and stamp.read_text() == lock.read_text():
            return
        print(f"Setting up {self._folder.relative_to(CHECKOUT)} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self._folder], check=True)
        # One --quiet leaves warnings about indexes of the machine's own; errors come through two.
        pip = [self.python, "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "--require-hashes", "-r", lock], check=True)
        stamp.write_text(lock.read_text())

    def _unpack(self) -> None:
        """Take version 1.0.0 from the history of the checkout."""
        if (self._folder / "jarvis_trio").exists():
            return
        command = ["git", "-C", str(CHECKOUT), "archive", FIRST_RELEASE, "jarvis_trio", "config.py"]
        try:
            packed = subprocess.run(command, check=True, capture_output=True).stdout
        except (OSError, subprocess.CalledProcessError):
            sys.exit("benchmarks: version 1.0.0 is not in this checkout; fetch its history: git fetch --unshallow")
        os.makedirs(self._folder, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(self._folder, filter="data")
