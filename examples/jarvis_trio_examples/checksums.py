"""Has a file rotted on the disk? A long job that ends in time and goes on at its next run."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from jarvis_trio.errors import HandlerTimeoutError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object
from jarvis_trio.notation.instants import utc_text

LEDGER = ".checksums.json"
MARGIN = timedelta(seconds=5)
"""So long before its deadline the job begins no other file."""


class Seen(NamedTuple):
    """How a file was when it was last read: a changed time means that somebody wrote it."""

    checked_at: str
    modified: int
    sha256: str


def checksums(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Read the files of `{"folder": "/home/you/photos"}`, those first that were not read for longest.

    A file whose content changed although its time did not is damaged: an error.
    """
    folder = Path(json_object(task.handler_config, "handler_config")["folder"])
    ledger = _read(folder / LEDGER)
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != LEDGER]
    names.sort(key=lambda name: (ledger[name].checked_at if name in ledger else "", name))
    damaged, read = [], 0
    try:
        for name in names:
            # Ending by itself in time, the run is `executed`, and the next one goes on. The
            # store's clock is the one by which the deadline is meant, also in a simulation.
            if context.store.clock.now() > context.deadline - MARGIN:
                break
            seen = _look(folder / name, context)
            before = ledger.get(name, seen)
            if before.modified == seen.modified and before.sha256 != seen.sha256:
                damaged.append(name)
            else:
                ledger[name] = seen
            read += 1
    finally:
        _write(folder / LEDGER, ledger)
    result = {"read": read, "left": len(names) - read, "damaged": damaged}
    return {"status": "error", "error": f"damaged: {', '.join(damaged)}", **result} if damaged else result


def _look(path: Path, context: HandlerContext) -> Seen:
    modified = path.stat().st_mtime_ns
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            # The deadline came within one file, and the run has been recorded as `timeout`.
            # Nobody can kill the thread, and the task does not start again while it lives.
            if context.cancelled.is_set():
                raise HandlerTimeoutError(f"stopped in the midst of {path.name}")
            digest.update(chunk)
    return Seen(utc_text(context.started_at), modified, digest.hexdigest())


def _read(path: Path) -> dict[str, Seen]:
    return {name: Seen(*seen) for name, seen in json.loads(path.read_text()).items()} if path.exists() else {}


def _write(path: Path, ledger: dict[str, Seen]) -> None:
    # Whoever dies while writing leaves the old ledger: `replace` is all or nothing.
    part = path.with_suffix(".part")
    part.write_text(json.dumps(ledger))
    part.replace(path)
