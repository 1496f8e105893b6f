"""Names of tasks on the command line: what may be one, and how an endless one is shown. Pure."""

from __future__ import annotations

from jarvis_trio.errors import TaskError
from jarvis_trio.text import printable, shortened

_LONGEST = 100


def check_name(name: str) -> None:
    """Raises TaskError for a name that would be a nuisance on a terminal or in a log."""
    if not name.strip() or name != name.strip() or len(name) > _LONGEST or printable(name) != name:
        raise TaskError(
            f"not a name for a task: {name[:_LONGEST]!r}; use 1 to {_LONGEST} characters on one line, "
            "without control characters, and no space at either end"
        )


def short_name(name: str) -> str:
    """The name as a table shows it: other programs may have written one that is longer than `check_name` allows."""
    return shortened(name, _LONGEST)
