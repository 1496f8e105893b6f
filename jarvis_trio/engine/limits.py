"""How much the engine keeps, and how much it does at once."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple


class Limits(NamedTuple):
    """The engine's limits.

    Args:
        history_days: how old a row of the run history may grow. A task's last run is always kept.
        history_runs: how many rows of it a task may have.
        pruned_at_once: rows of it that one tick deletes, so that no tick is held up by that.
        decided_at_once: slots decided in one transaction. Between two transactions other
            processes get the write lock.
        recovery_patience: how long ticks wait while another tick cleans up after a dead
            process, from its beginning on. Then they run what they can.
        steady_clock: how long the wall clock must not have been set before history is deleted
            by its age. A process that does not live that long deletes by number only.
        moment: how long the end of a run waits for those that began with it, to be recorded in
            one commit with them: as long as some commits take.
        refused_pause: how long a task is passed over whose rows the database refuses; also the
            longest pause between two tries to write an outcome that is kept.
    """

    history_days: int = 90
    history_runs: int = 10_000
    pruned_at_once: int = 1_000
    decided_at_once: int = 500
    recovery_patience: timedelta = timedelta(seconds=1)
    refused_pause: timedelta = timedelta(minutes=1)
    steady_clock: timedelta = timedelta(hours=1)
    moment: timedelta = timedelta(milliseconds=1)
