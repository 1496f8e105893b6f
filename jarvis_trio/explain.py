"""Why a task ran, did not run, or will run, in words: from its schedule, its row and its history.

Only reads. What happened is told by the history; where that has no row, what the
task's row and the runs around it leave as the reason is said, and nothing is invented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from jarvis_trio.errors import ScheduleError
from jarvis_trio.firing import Firing, Moment, firing_of, moment_of
from jarvis_trio.forecast import stored_next_run
from jarvis_trio.instants import parse_instant
from jarvis_trio.models import Run, RunStatus, ScheduledTask, Trigger, require_id, task_policy
from jarvis_trio.schedule import Cron, Once, Schedule, task_schedule, task_zone
from jarvis_trio.store import MemoryStore
from jarvis_trio.text import printable
from jarvis_trio.words import counted, duration_words, moment_words, time_words

_LATE = timedelta(minutes=1)
_UNRUN = (RunStatus.MISSED, RunStatus.SKIPPED)
_FAILED = (RunStatus.ERROR, RunStatus.TIMEOUT)


class Verdict(StrEnum):
    """The answer in one word."""

    RAN = "ran"
    RUNNING = "running"
    DUE = "due"
    WILL_RUN = "will run"
    DID_NOT_RUN = "did not run"
    WILL_NOT_RUN = "will not run"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to: why does the task run, or not, at that instant?

    `answer` is one sentence. `firing` is what the schedule, as it is now, says of the
    minute; None where the schedule cannot be understood. `runs` are the rows of the
    history that the answer rests on, the oldest first. `at` bears the task's zone.
    """

    task: str
    at: datetime
    verdict: Verdict
    answer: str
    firing: Firing | None
    runs: tuple[Run, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is known of the task and of the moment."""

    task: ScheduledTask
    schedule: Schedule
    moment: Moment
    firing: Firing
    now: datetime
    next_run: datetime | None
    runs: Sequence[Run]
    set_aside: str | None
    daemon_runs: bool | None
    anything_ran: Callable[[datetime, datetime], bool]

    @property
    def name(self) -> str:
        return printable(self.task.name)

    @property
    def zone(self) -> tzinfo:
        return self.moment.zone

    @property
    def obstacle(self) -> str | None:
        """Why the task does not run at all, as it stands; None where it does."""
        if self.set_aside is not None:
            return f"it is set aside: {printable(self.set_aside)}; mend it with `jarvis-trio edit`"
        return None if self.task.enabled else "it is paused; `jarvis-trio resume` lets it run again"

    def when(self, instant: datetime) -> str:
        return moment_words(instant, self.zone)

    def row_instant(self, text: str | None) -> datetime | None:
        try:
            return None if text is None else parse_instant(text, self.zone)
        except ScheduleError:
            return None
