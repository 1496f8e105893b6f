"""The limit on open files: enough of them, or a refusal at the start."""

from __future__ import annotations

import resource
from contextlib import suppress

from jarvis_trio.errors import SettingError

LEAST = 64
"""Database, log, lock, event loop and four commands at a time take about 40."""

WANTED = 1024


def ensure_descriptors() -> None:
    """Raise the soft limit as far as allowed, up to `WANTED`.

    Raises SettingError if the limit is then still too small.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft < LEAST:
        raise SettingError(f"this process may open {soft} files at most", fix=f"run: ulimit -n {WANTED}")
