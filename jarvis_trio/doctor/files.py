"""Checks of files and folders: who may open them, how large they are, what waits in the inbox."""

from __future__ import annotations

import glob
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jarvis_trio.delivery.secrets import FILE_NAMES, read_secrets
from jarvis_trio.doctor.findings import Finding, problem, warning
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import counted, size_words
from jarvis_trio.settings import Settings

_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LARGE_LOG_BYTES = 10_000_000  # of one that nobody rotates
_POLL = "webhook_poll"


def check_permissions(settings: Settings) -> Iterator[Finding]:
    """Whether others may open what only its owner should."""
    database, log = settings.memory_db_path, settings.log_file
    files = [
        database,
        *_beside(database, "-*"),
        *_logs(log),
        settings.lock_file,
        settings.approvals_file,
        settings.outputs_dir,
    ]
    paths = dict.fromkeys([settings.data_dir, settings.webhook_inbox_dir, *files])
    open_ones = [path for path in paths if path.exists() and path.stat().st_mode & _OF_OTHERS]
    if open_ones:
        listed = shlex.join(map(str, open_ones))
        yield warning("permissions", f"others may open {listed}", f"chmod go-rwx {listed}")
    else:
        yield Finding("permissions", "only you may open the files")
    if settings.file is not None and _others_may_write(settings.file):
        place = shlex.quote(str(settings.file))
        yield warning("permissions", f"others may change your settings in {place}", f"chmod go-w {place}")


def _others_may_write(path: Path) -> bool:
    """Whether a file is others' to write; a device such as /dev/null holds nothing."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Whether the files with secrets would be refused. Raises DeliveryError if so."""
    files = [path for name in FILE_NAMES if (path := settings.data_dir / name).exists()]
    if files:
        read_secrets(settings.data_dir)
        yield Finding("secrets", " and ".join(map(str, files)))


def check_logs(log: Path, unrotated: Iterable[Path]) -> Iterator[Finding]:
    """Whether the program's log can be written, and how large it and launchd's `unrotated` ones
    are.
    """
    files = _logs(log)
    place = next(place for place in (log, *log.parents) if place.exists())
    if (place == log and not log.is_file()) or (place != log and log.is_symlink()):
        says = f"{log} is not a regular file, so nothing is kept of what the daemon says"
        yield problem("log", says, f"rm -d {shlex.quote(str(log))}, or name another one in DAEMON_LOG_FILE")
    elif not os.access(place, os.W_OK):
        yield problem("log", f"{log} cannot be written", f"chmod u+w {shlex.quote(str(place))}")
    elif files:
        yield Finding("log", f"{log}: {counted(len(files), 'file')}, {_size(files)}")
    else:
        yield Finding("log", f"{log}: nothing is logged yet")
    for path in unrotated:
        if path.exists() and path.stat().st_size > _LARGE_LOG_BYTES:
            fix = f"read its end, put right what it says, and empty it: : > {shlex.quote(str(path))}"
            yield warning("log", f"{path}: {_size([path])}, and nobody rotates it", fix)


def check_inbox(inbox: Path, tasks: Sequence[ScheduledTask]) -> Iterator[Finding]:
    """How much waits in the inbox, and whether a task takes it in. No file is opened."""
    waiting, failed = (_count_files(folder) for folder in (inbox, inbox / "failed"))
    pollers = [task for task in tasks if task.handler_type == _POLL]
    says = f"{inbox}: {counted(waiting, 'file')} waiting"
    if waiting and not any(task.enabled for task in pollers):
        resume = shlex.join(["jarvis-trio", "resume", *(task.name for task in pollers[:1])])
        fix = resume if pollers else f"jarvis-trio add inbox --every 5m --handler {_POLL}"
        yield problem("inbox", f"{says}, and no task takes them in", fix)
    else:
        yield Finding("inbox", says)
    if failed:
        place = inbox / "failed"
        fix = "read the reason beside each, drop the corrected file into the inbox again, and remove it there"
        yield warning("inbox", f"{place}: {counted(failed, 'file')} could not be taken in", fix)


def _count_files(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.name.endswith(".json") and not entry.name.startswith(".") for entry in entries)
    except FileNotFoundError:
        return 0


def _logs(log: Path) -> list[Path]:
    return [path for path in (log, *_beside(log, ".[0-9]*")) if path.exists()]


def _beside(path: Path, suffix: str) -> list[Path]:
    return sorted(path.parent.glob(glob.escape(path.name) + suffix))


def _size(files: Iterable[Path]) -> str:
    return size_words(sum(path.stat().st_size for path in files))
