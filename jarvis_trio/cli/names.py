"""Names of tasks on the command line: the nearest one, and what may be one. Pure."""

from __future__ import annotations

import difflib

from jarvis_trio.errors import TaskError
from jarvis_trio.text import printable

_LONGEST = 100


def nearest(name: str, names: list[str]) -> str:
    """`did you mean 'backup'? ` where one of the names is near; else nothing."""
    found = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def check_name(name: str) -> None:
    """Raises TaskError for a name that would be a nuisance on a terminal or in a log."""
    if not name.strip() or name != name.strip() or len(name) > _LONGEST or printable(name) != name:
        raise TaskError(
            f"not a name for a task: {name[:_LONGEST]!r}; use 1 to {_LONGEST} characters on one line, "
            "without control characters, and no space at either end"
        )
