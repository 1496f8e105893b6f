"""Names of tasks: what may be one, how two are compared, and how an endless one is shown. Pure."""

from __future__ import annotations

import unicodedata

from jarvis_trio.errors import TaskError
from jarvis_trio.notation.text import printable, shortened

_LONGEST = 100


def checked_name(name: str, of: str = "a task") -> str:
    """The name as it is stored.

    Raises TaskError for a name that would garble a terminal or a log.
    """
    if not name.strip() or name != name.strip() or len(name) > _LONGEST or printable(name) != name:
        fix = f"use 1 to {_LONGEST} characters on one line, without control characters, and no space at either end"
        raise TaskError(f"not a name for {of}: {name[:_LONGEST]!r}", fix=fix)
    return composed(name)


def composed(name: str) -> str:
    """The name in NFC (UAX 15), so that equal letters are equal texts.

    macOS types accents apart from their letters.
    """
    return unicodedata.normalize("NFC", name)


def short_name(name: str) -> str:
    """The name as a table shows it.

    Other programs may have written one that is longer than `checked_name` allows.
    """
    return shortened(name, _LONGEST)
