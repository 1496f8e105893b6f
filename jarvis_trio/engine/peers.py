"""The processes that share a database: this one, and what it knows of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from jarvis_trio.process.identity import current_owner, owner_alive


def end_orphans(owner: str) -> None:
    """End what a dead process has left of its commands."""
    from jarvis_trio.handlers import processes  # noqa: PLC0415  # psutil: 20 ms, needed only if a process has died

    processes.end_orphans(owner)


@dataclass(frozen=True, slots=True)
class Peers:
    """This process among all that share the database.

    Args:
        owner: the text that tells this process from all others.
        is_alive: whether the process of another owner's text still lives.
        end_orphans: ends what the process of another owner's text has left of its commands.
    """

    owner: str = field(default_factory=current_owner)
    is_alive: Callable[[str | None], bool] = owner_alive
    end_orphans: Callable[[str], object] = end_orphans
