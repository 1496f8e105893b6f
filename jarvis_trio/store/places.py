"""Where things happen if machines share the database: on one of them, on some, or on any.

A place is a text: the name of a machine, a label that several machines have, or None for any
machine. A file, which one machine has to itself, knows no places.
"""

from __future__ import annotations

from typing import NamedTuple

from jarvis_trio.models import ScheduledTask
from jarvis_trio.policy import ANYWHERE, task_policy

Condition = tuple[str, tuple[str, ...]]
"""A condition in SQL, and its values."""


class Here(NamedTuple):
    """This machine among those that share the database.

    Attributes:
        name: the machine's name.
        labels: names that it shares with others.
        takes_any: whether it runs what any machine may run.
    """

    name: str
    labels: tuple[str, ...] = ()
    takes_any: bool = True

    def may_take(self, place: str | None) -> bool:
        """Whether it may run what is to run at `place`."""
        return self.takes_any if place is None else place in (self.name, *self.labels)

    def takes(self, column: str, *, shared: bool = True) -> Condition:
        """The condition on a column with a place: this machine may run it.

        If not `shared`, only what no other machine may run as well.
        """
        if not shared:
            return f"{column} = ?", (self.name,)
        names = (self.name, *self.labels)
        named = f"{column} IN ({', '.join('?' * len(names))})"
        return f"({column} IS NULL OR {named})" if self.takes_any else named, names

    def sends(self) -> Condition:
        """The same for a message in the outbox: one that may go from anywhere goes from here."""
        return self._replace(takes_any=True).takes("place")


def place_of(task: ScheduledTask, here: Here | None) -> str | None:
    """Where a task is to run; None if the database is one machine's. Raises as `named_place`."""
    return None if here is None else named_place(task.policy)


def named_place(policy: str | None) -> str | None:
    """The place that a policy (JSON text) names. Raises ScheduleError if that makes no sense."""
    place = task_policy(policy).on
    return None if place == ANYWHERE else place
