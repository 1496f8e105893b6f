"""What a check found, and its fix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from jarvis_trio.errors import JarvisError
from jarvis_trio.permission import permission_fix


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    """It works, and could be better."""
    PROBLEM = "problem"
    """Something does not work, or will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line about one thing; `fix` says what to do about it, and is empty if there is nothing to
    do.
    """

    subject: str
    says: str
    level: Level = Level.FINE
    fix: str = ""


def warning(subject: str, says: str, fix: str) -> Finding:
    """A finding that needs no haste."""
    return Finding(subject, says, Level.WARNING, fix)


def problem(subject: str, says: str, fix: str) -> Finding:
    """A finding for which `doctor` exits with 1."""
    return Finding(subject, says, Level.PROBLEM, fix)


def failed(subject: str, error: JarvisError | OSError, otherwise: str, *, of: str = "") -> Finding:
    """An error that a check met, as a problem.

    Args:
        otherwise: the fix if the error names none.
        of: what the error is about, such as a task's name, to be said first.
    """
    if isinstance(error, JarvisError):
        says, fix = error.says, error.fix
    else:
        says, fix = str(error), "" if error.filename is None else permission_fix(error.filename, error)
    return problem(subject, f"{of}: {says}" if of else says, fix or otherwise)


def guarded(subject: str, otherwise: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `check` finds, and what kept it from going on; `otherwise` is the fix if the error names
    none.
    """
    try:
        yield from check()
    except (JarvisError, OSError) as error:
        yield failed(subject, error, otherwise)
