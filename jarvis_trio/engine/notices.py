"""What people are told: a run's result by its task's channel, and a task's troubles once.

A message is written into the outbox in the transaction that records what it tells of, so
none is lost. `deliveries` sends it from there. A failed delivery never fails a run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from jarvis_trio.clock import Clock
from jarvis_trio.delivery.message import STARTED, wants_start
from jarvis_trio.engine.deliveries import AlertChannel, Deliveries, Send
from jarvis_trio.engine.flapping import Told
from jarvis_trio.errors import ScheduleError, StoreError
from jarvis_trio.models import Claim, Outcome, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.notation.instants import duration_text, local_text
from jarvis_trio.notation.text import moment_words
from jarvis_trio.policy import task_policy
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.outbox import Letter
from jarvis_trio.store.places import place_of
from jarvis_trio.store.troubles import Trouble

_logger = logging.getLogger(__name__)

_WELL_AGAIN = (TroubleKind.FAILING, TroubleKind.MISSED, TroubleKind.STALE, TroubleKind.REFUSED, TroubleKind.NO_HANDLER)


class Notices:
    """Writes the messages about runs and tasks.

    Args:
        store: the database, whose outbox is used.
        clock: the zone of the times in a message.
        send: the channels.
        alerts: where troubles are told; None to only note them.

    Attributes:
        deliveries: sends what was written.
        posted: how many messages this process has written, those counted that were taken back.
    """

    def __init__(self, store: MemoryStore, clock: Clock, send: Send, alerts: AlertChannel | None = None) -> None:
        self.deliveries = Deliveries(store, clock, send, alerts)
        self.posted = 0
        self._store = store
        self._clock = clock
        self._alerts = alerts

    def run_started(self, claim: Claim) -> None:
        """Tell of the start of a run if the task's channel is to be told."""
        task = claim.task
        if task.delivery_channel and wants_start(task.delivery_config):
            letter = Letter(task.delivery_channel, task.delivery_config, task.name, STARTED, None, "")
            self._post(letter, task, claim.started_at)

    def run_ended(self, claim: Claim, outcome: Outcome, at: datetime) -> None:
        """Note the end of a run that has no further attempt.

        Call it in the transaction that records the end.
        """
        task = claim.task
        if task.delivery_channel:
            text = outcome.result if outcome.reason is None else outcome.reason
            channel, config = task.delivery_channel, task.delivery_config
            self._post(Letter(channel, config, task.name, outcome.status, text, "", claim.run_id), task, at)
        if outcome.status is RunStatus.EXECUTED:
            self._well_again(task, at)
            self.watch(task, at)
        elif outcome.status is not RunStatus.INTERRUPTED:  # whoever stopped it knows
            self.trouble(task, TroubleKind.FAILING, outcome.reason or str(outcome.status), at)

    def ran_beside(self, claim: Claim, outcome: Outcome, at: datetime) -> None:
        """Tell that a run that was taken for dead ended beside another attempt at its slot."""
        since = moment_words(claim.started_at, self._clock.zone())
        reason = f"its run since {since} was taken for dead and ended after all: {outcome.status}"
        self._alert(claim.task, "ran twice", reason, at)

    def trouble(self, task: ScheduledTask, kind: TroubleKind, reason: str, at: datetime) -> None:
        """Note what is wrong with a task; told once, until it is over."""
        if self._store.troubles.begin_trouble(require_id(task), kind, reason, at):
            self._alert(task, kind, reason, at)

    def refused(self, task: ScheduledTask, reason: str, at: datetime) -> None:
        """Note that the database refuses rows of a task, if it takes that.

        Call it outside of a transaction. Never raises StoreError.
        """
        try:
            with self._store.transaction():
                self.trouble(task, TroubleKind.REFUSED, reason, at)
        except StoreError as error:
            _logger.error("Nobody can be told that task %r is refused: %s", task.name, error)

    def taken_again(self, task: ScheduledTask) -> None:
        """Note that the database takes the rows of a task again; as `refused`."""
        with suppress(StoreError), self._store.transaction():
            self._store.troubles.end_troubles(require_id(task), [TroubleKind.REFUSED])

    def scheduled_again(self, task: ScheduledTask, at: datetime) -> None:
        """Note that a task that was set aside can be scheduled again."""
        if ended := self._store.troubles.end_troubles(require_id(task), [TroubleKind.SET_ASIDE]):
            self._alert(task, "scheduled again", f"set aside since {self._first(ended)}", at)

    def watch(self, task: ScheduledTask, since: datetime) -> None:
        """Expect the next success of a task within its `alert_after_seconds` from `since`."""
        limit = task_policy(task.policy).alert_after_seconds
        if limit is not None:
            self._store.troubles.set_deadline(require_id(task), since + timedelta(seconds=limit))

    def check_deadlines(self, now: datetime) -> None:
        """Tell of the tasks that have not succeeded for longer than they say."""
        for task in self._store.troubles.passed_deadlines(now):
            with self._store.transaction():
                if not self._store.troubles.is_deadline_passed(require_id(task), now):
                    continue  # another machine has told of it, or it has succeeded meanwhile
                self._store.troubles.set_deadline(require_id(task), None)
                limit = task_policy(task.policy).alert_after_seconds
                if limit is not None:
                    reason = f"no success for more than {duration_text(timedelta(seconds=limit))}"
                    self.trouble(task, TroubleKind.STALE, reason, now)

    def _well_again(self, task: ScheduledTask, at: datetime) -> None:
        ended = self._store.troubles.end_troubles(require_id(task), _WELL_AGAIN)
        if ended:
            self._alert(task, "well again", f"in trouble since {self._first(ended)}", at)

    def _first(self, troubles: Iterable[Trouble]) -> str:
        return moment_words(min(trouble.since for trouble in troubles), self._clock.zone())

    def _alert(self, task: ScheduledTask, status: str, reason: str, at: datetime) -> None:
        """Tell of a task's trouble or recovery, by its own channel or else by the one for all."""
        address: tuple[str, str | None] | None = _own_address(task)
        if address is None and self._alerts is not None:
            # Its configuration can hold secrets of the environment, which are not for the database.
            address = (self._alerts.channel, None)
        if address is None:
            return

        key = f"told {require_id(task)}"
        told = Told.read(self._store.notes.note(key))
        is_joined = told.waiting is not None and self._store.outbox.take_back(told.waiting)
        told = told.joined() if is_joined else told.alone(at)
        words = told.words(reason, at, self._clock.zone())
        number = self._post(Letter(*address, task.name, status, words, ""), task, at, told.due_at)
        self._store.notes.remember(key, told.posted(number, at).text())

    def _post(self, letter: Letter, task: ScheduledTask, at: datetime, due_at: datetime | None = None) -> int:
        self.posted += 1
        timestamp, place = local_text(at, self._clock.zone()), self._place(task)
        return self._store.outbox.post(letter._replace(timestamp=timestamp, place=place), due_at or at)

    def _place(self, task: ScheduledTask) -> str | None:
        """Where a message about a task is sent: where the task runs, and the channel's secrets are.

        From anywhere if this machine tells of a task of another one, which may be off for good.
        """
        here = self._store.here
        with suppress(ScheduleError):  # the trouble may be the policy
            place = place_of(task, here)
            return place if here is not None and here.may_take(place) else None
        return None


def _own_address(task: ScheduledTask) -> tuple[str, str] | None:
    """The channel that the task's policy names for its troubles, and the channel's configuration.

    None if the policy names no channel.
    """
    with suppress(ScheduleError):  # the trouble may be the policy
        policy = task_policy(task.policy)
        if policy.alert_channel is not None:
            return policy.alert_channel, json.dumps(policy.alert_config or {})
    return None
