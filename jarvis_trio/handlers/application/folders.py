"""The folder in which a run of an application finds its question and leaves its answer.

It is in the temporary folder, and goes with its run. After a `kill -9` it stays; a later run, or
the start of a daemon, sweeps it.

Guarantees: a folder is swept only if the kernel says that nobody is at work in it: neither the
process that made it nor the run's own. Each of them holds a shared lock (flock(2)) on a file in
it, also in another container, and the kernel frees that at their end. A disk that has no such locks
keeps no run from its work: the file is missing there.

This code assumes that nobody but this user can write there (mode 0700), and that machines which
share a temporary folder see each other's locks. Folders of others, and those without that file, are
left alone.

The races, each with what decides it:

1. A sweep comes while a folder is made. The file gets its name only once it is locked.
2. The maker dies before the run's process has its lock. If a sweep is faster, the process does not
   find its question, and nothing runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "jarvis-run-"
LOCK = "lock"
"""The program in the application's interpreter (`bootstrap`) knows this name too."""


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder, mode 0700, for one run. Raises OSError if it cannot be made."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with open(folder / f"{LOCK}.new", "w+b") as file:  # NFS locks for sharing only what can be read, too
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_SH)
                os.rename(file.name, folder / LOCK)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_folders() -> None:
    """Delete the folders of runs that are over, whose process was killed."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with suppress(OSError):  # another process was faster, or it is somebody else's
                    _sweep(Path(entry.path))


def _sweep(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    with open(folder / LOCK, "r+b") as file:  # NFS locks for one alone only what can be written
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
