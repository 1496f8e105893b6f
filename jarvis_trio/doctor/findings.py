"""What a check found, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from jarvis_trio.errors import JarvisError

_UNITS = ("B", "kB", "MB", "GB", "TB")


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and could be better."""
    PROBLEM = "problem"
    """Something does not work, or will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line about one thing; `mend` says what to do, where there is something to do."""

    subject: str
    says: str
    level: Level = Level.FINE
    mend: str = ""


def warning(subject: str, says: str, mend: str) -> Finding:
    """A finding that needs no haste."""
    return Finding(subject, says, Level.WARNING, mend)


def problem(subject: str, says: str, mend: str) -> Finding:
    """A finding for which `doctor` exits with 1."""
    return Finding(subject, says, Level.PROBLEM, mend)


def failed(subject: str, message: str, otherwise: str) -> Finding:
    """A problem from an error's message: ours end with the mend, after a semicolon; `otherwise` is for the rest."""
    says, _, mend = message.rpartition("; ")
    return problem(subject, says, mend) if says else problem(subject, message, otherwise)


def guarded(subject: str, otherwise: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `check` finds, and what kept it from going on; `otherwise` mends what names no mend."""
    try:
        yield from check()
    except (JarvisError, OSError) as error:
        yield failed(subject, str(error), otherwise)


def size_words(count: float) -> str:
    """A number of bytes as a person says it: `812 B`, `1.2 MB`."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {_UNITS[unit]}" if unit and count < 10 else f"{count:.0f} {_UNITS[unit]}"
