"""Is there room left on a disk? The smallest useful handler: a configuration, a result, an error."""

from __future__ import annotations

import shutil
from typing import Any

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, ScheduledTask, json_object

DEFAULTS: dict[str, Any] = {"path": "/", "least_free_percent": 10}


def disk_space(task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
    """Measure the disk that holds `path`; an error where less than `least_free_percent` of it is free."""
    config = DEFAULTS | json_object(task.handler_config, "handler_config")
    path, least = config["path"], config["least_free_percent"]
    try:
        disk = shutil.disk_usage(path)
    except OSError as error:
        # What was wrong, the value, the fix: this sentence is what `history` shows.
        raise HandlerError(f"cannot look at {path!r}: {error.strerror}; give the task another path") from error
    free = 100 * disk.free / disk.total
    measured = {"path": path, "free_percent": round(free, 1), "free_gigabytes": round(disk.free / 1e9, 1)}
    if free < least:
        # The run ends as an error, and what was measured is kept all the same.
        return {"status": "error", "error": f"only {free:.1f}% of the disk of {path} is free", **measured}
    return measured
