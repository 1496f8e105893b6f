"""Which slot runs next, and in which process: laws 2 and 3.

Only the decision is here. What a handler does with a claim is the engine's.

Guarantees:

- A slot is claimed by at most one process, and recorded by at most one.
- A task is claimed only while no run of it is alive, in any process.
- Every slot that comes due is claimed, recorded as missed or skipped, or counted by a later one.

This code assumes that `decide` is called in a write transaction of the store, which SQLite grants
to one connection at a time, and that `task_runs` refuses a second row for one attempt at one slot
and a second live row for one task.

The races, each with what decides it:

1. Two processes see the same slot due. The second one gets the write lock after the first one's
   commit, and then finds the slot claimed and the queue moved on.
2. A person runs the task by hand while its slot comes due. Whoever inserts the live row first runs;
   the slot is skipped ("still running"), or the person is told that the task runs already.
3. Another program's trigger refuses a write of the decision. The transaction is taken back, and the
   engine begins it again; the task is passed over meanwhile.
4. The clock is set back, so a slot that has run comes due again. Its row is still there: it is
   not run again, and the next slot counts what it stood for.

What follows if the process dies with a claim in hand is told in `recovery`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from enum import Enum, auto
from math import ceil
from typing import NamedTuple

from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers
from jarvis_trio.engine.planner import Planner
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.errors import ConflictError, ScheduleError, TaskRunningError
from jarvis_trio.models import Claim, Due, RunStatus, ScheduledTask, Trigger, TroubleKind, require_id
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.text import moment_words
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.kind import Schedule
from jarvis_trio.schedules.schedule import CatchUp, catch_up, task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.places import place_of

_TICK = timedelta(microseconds=1)


class Unrun(NamedTuple):
    """A slot that came due and was not run, with its reason (law 3)."""

    task: ScheduledTask
    status: RunStatus
    reason: str


class Passed(Enum):
    """Why the head of the queue was dealt with without a row of the history."""

    SETTLED = auto()
    """Its task was changed: the row was read, and its slot took its place in the queue."""

    COLLAPSED = auto()
    """Later slots of it were due too: the latest of them took its place in the queue."""

    MOVED = auto()
    """By the zone's rules of today its slot is another one, which took its place in the queue."""

    PARKED = auto()
    """It waits for its handler, and that it does is recorded already."""

    EARLY = auto()
    """It is not due yet, and cannot be claimed ahead of its time."""

    ELSEWHERE = auto()
    """Another machine, which may run it, has its handler, and this one has not."""

    HAS_RUN = auto()
    """The slot had a row already, from before the clock was set back."""


class TaskRefusedError(Exception):
    """The database refuses the rows of one task. The transaction is to be taken back."""


class Decision(NamedTuple):
    """What was decided.

    `claims` is what is to run; `unrun` what is not run; `more` says whether more may be due
    although there was a place for it. `early_at` is when the head of the queue is due, if it was
    looked at ahead of its time and has to wait for it.
    """

    claims: Sequence[Claim]
    unrun: Sequence[Unrun]
    more: bool = False
    early_at: datetime | None = None


class Claims:
    """Decides, for one process, what of the queue is due, and claims it.

    Args:
        store: the database.
        zone: the machine's zone; instants are arguments.
        peers: this process, and what is known of the others.
        known_handlers: the handler types that can run here.
        notices: is told of slots that are missed.
        planner: reads the rows that were changed.
        limits: how much is decided in one transaction.
        refusals: remembers the tasks whose rows the database refuses.
    """

    def __init__(
        self,
        store: MemoryStore,
        zone: Callable[[], tzinfo],
        peers: Peers,
        known_handlers: Container[str],
        notices: Notices,
        planner: Planner,
        limits: Limits,
        refusals: Refusals,
    ) -> None:
        self._store = store
        self._zone = zone
        self._peers = peers
        self._known = known_handlers
        self._notices = notices
        self._planner = planner
        self._limits = limits
        self._refusals = refusals

    def decide(self, now: datetime, started_at: datetime, lead: timedelta, places: int) -> Decision:
        """Claim what has been due the longest at `now`; call it in a transaction.

        A slot whose time comes within the `lead` is claimed ahead of it, unless there is a reason
        to wait: its task still runs, say. Its run then starts at its time. At most as many are
        claimed as there are `places`, so that each of them starts at once.

        On the way, rows that were changed are read, and slots that are not to run are
        recorded as missed or skipped. Raises TaskRefusedError if the database refuses the rows
        of a task; the next call passes that task over.
        """
        claims: list[Claim] = []
        unrun: list[Unrun] = []
        has_passed = False
        for _ in range(self._limits.decided_at_once):
            due = self._store.queue.head(now + lead, self._refusals.passed_over(), shared=self._peers.may_share)
            if due is not None and claims and any(claim.task.id == due.task.id for claim in claims):
                break  # whether its next slot meets a run is seen when this one has begun
            decided = None if due is None else self._decide_on(due, now, started_at)
            if due is None or decided is Passed.EARLY:
                break
            if isinstance(decided, Claim):
                claims.append(decided)
                if len(claims) == places:
                    return Decision(claims, unrun)
            elif isinstance(decided, Unrun):
                unrun.append(decided)
            else:
                has_passed = True

        if has_passed and not claims:
            self._planner.note_clock(now)
        early_at = due.due_at if due is not None and decided is Passed.EARLY else None
        return Decision(claims, unrun, more=due is not None and early_at is None, early_at=early_at)

    def _decide_on(self, due: Due, now: datetime, started_at: datetime) -> Claim | Unrun | Passed:
        """Decide, so that a row that is refused hurts its own task only (law 4).

        Raises TaskRefusedError; the caller must then roll back the transaction. A savepoint for
        each decision was considered and rejected: it costs each run two statements for a rare case.
        A trigger that rolls back the whole transaction needs this way in any case.
        """
        try:
            decided = self._judge(due, now, started_at)
            self._refusals.end(due.task)
        except ConflictError as error:
            self._refusals.add(due.task, error)
            raise TaskRefusedError from error
        return decided

    def _judge(self, due: Due, now: datetime, started_at: datetime) -> Claim | Unrun | Passed:
        if due.changed:
            self._planner.settle(due.task, now)
            return Passed.SETTLED
        if due.due_at > now and not self._can_be_early(due):
            return Passed.EARLY
        if self._is_for_others(due.task):
            self._refusals.leave(due.task)
            return Passed.ELSEWHERE
        if due.attempt > 1:
            return self._claim_retry(due, started_at)
        return self._judge_slot(due, now, started_at)

    def _judge_slot(self, due: Due, now: datetime, started_at: datetime) -> Claim | Unrun | Passed:
        try:
            schedule = task_schedule(due.task, self._zone())
            if due.origin is not None and (slot := schedule.reread(due.scheduled_for)) != due.scheduled_for:
                return self._move(due, slot)
            planned = catch_up(schedule, due.scheduled_for, max(now, due.scheduled_for))
        except ScheduleError as error:
            self._planner.set_aside(due.task, str(error), now)
            return Unrun(due.task, RunStatus.SKIPPED, f"set aside: {error}")

        if planned.slot != due.scheduled_for:
            # Back into the queue at its new nominal time: what is overdue runs in that order.
            collapsed, origin = self._collapsed(due, schedule, planned), schedule.origin(planned.slot, now)
            self._store.queue.settle(due.task, planned.slot, collapsed=collapsed, origin=origin)
            return Passed.COLLAPSED
        if due.task.handler_type not in self._known:
            return self._park(due, now)
        if schedule.only is not None:
            self._store.runs.note_done(due.task)
        return self._claim_slot(due, planned, now, started_at)

    def _move(self, due: Due, slot: datetime | None) -> Passed:
        self._store.queue.set_next_run(due.task, slot, collapsed=due.collapsed, origin=slot)
        return Passed.MOVED

    def _park(self, due: Due, now: datetime) -> Unrun | Passed:
        """Record once that the task's handler is not installed.

        The row stays as it is until somebody installs the handler.
        """
        reason = f"no handler of type {due.task.handler_type!r} is installed"
        self._store.queue.dequeue_slot(require_id(due.task))
        self._notices.trouble(due.task, TroubleKind.NO_HANDLER, reason, now)
        slot = Unrun(due.task, RunStatus.SKIPPED, reason)
        return self._record_unrun(due, slot, now) or Passed.PARKED

    def _is_for_others(self, task: ScheduledTask) -> bool:
        """Whether its handler is not here, and other machines that may run it have it."""
        if task.handler_type in self._known:
            return False
        return self._peers.others_have(task.handler_type, place_of(task, self._store.here))

    def _can_be_early(self, due: Due) -> bool:
        """Whether all that could speak against a run is known before its time."""
        return due.attempt == 1 and due.running_since is None and due.task.handler_type in self._known

    def _claim_retry(self, due: Due, started_at: datetime) -> Claim | Passed:
        self._store.queue.dequeue_retry(require_id(due.task), due.scheduled_for, due.attempt)
        claim = self._store.runs.claim_run(
            due.task, due.scheduled_for, due.attempt, started_at=started_at, owner=self._peers.owner
        )
        return claim or Passed.HAS_RUN

    def _collapsed(self, due: Due, schedule: Schedule, planned: CatchUp) -> int:
        """How many earlier slots the planned one stands for.

        A slot with a row of its own does not count.
        """
        first, end = due.scheduled_for, planned.slot
        recorded = self._store.runs.slots_with_run(require_id(due.task), first, end)
        counted = sum(slot == first or schedule.latest(first, slot)[0] == slot for slot in recorded)
        return due.collapsed + planned.collapsed - counted

    def _claim_slot(self, due: Due, planned: CatchUp, now: datetime, started_at: datetime) -> Claim | Unrun | Passed:
        """Move the queue on to the next slot, and claim this one or record why it is not run."""
        next_run_at = self._store.queue.set_next_run(due.task, planned.next, origin=planned.slot)
        task = replace(due.task, next_run_at=next_run_at)

        decided: Claim | Unrun | None
        if (refusal := self._refusal(due, now)) is not None:
            decided = self._record_unrun(due, Unrun(task, *refusal), now)
        else:
            decided = self._store.runs.claim_run(
                task,
                planned.slot,
                1,
                started_at=max(started_at, planned.slot),
                owner=self._peers.owner,
                collapsed=due.collapsed,
            )
        if decided is None and planned.next is not None:
            self._store.queue.settle(task, planned.next, collapsed=due.collapsed, origin=planned.slot)
        return decided or Passed.HAS_RUN

    def _record_unrun(self, due: Due, slot: Unrun, now: datetime) -> Unrun | None:
        recorded = self._store.runs.record_unrun(
            slot.task, due.scheduled_for, slot.status, slot.reason, at=now, collapsed=due.collapsed
        )
        if recorded and slot.status is RunStatus.MISSED:
            self._notices.trouble(slot.task, TroubleKind.MISSED, slot.reason, now)
        return slot if recorded else None

    def _refusal(self, due: Due, now: datetime) -> tuple[RunStatus, str] | None:
        """Why a due slot is not run, or None if it is."""
        if due.running_since is not None:
            since = moment_words(due.running_since, self._zone())
            return RunStatus.SKIPPED, f"still running since {since}"

        grace = task_policy(due.task.policy).misfire_grace_seconds
        late = now - due.scheduled_for
        if grace is not None and late > timedelta(seconds=grace):
            seconds = timedelta(seconds=ceil(late.total_seconds()))
            allowed = duration_text(timedelta(seconds=grace))
            return RunStatus.MISSED, f"{duration_text(seconds)} late, beyond its grace of {allowed}"
        return None

    def claim_manually(self, task: ScheduledTask, now: datetime) -> Claim:
        """Claim a run that a person asked for; it moves no slot, and takes no slot's place.

        Raises TaskRunningError while another run of the task is alive, ScheduleError
        if its policy makes no sense.
        """
        task_policy(task.policy)
        with self._store.transaction():
            try:
                with self._store.savepoint():
                    claim = self._store.runs.claim_run(
                        task,
                        self._instant_beside_slots(task, now),
                        1,
                        started_at=now,
                        owner=self._peers.owner,
                        trigger=Trigger.MANUAL,
                    )
            except ConflictError:
                claim = None
        if claim is None:
            raise TaskRunningError(f"task {task.name!r} runs already", fix="try again when that run is over")
        return claim

    def _instant_beside_slots(self, task: ScheduledTask, now: datetime) -> datetime:
        """The nominal time of a manual run: `now`, or a few microseconds later.

        Keep manual runs off whole seconds, and off the instants of an interval: one key
        (task, nominal time, attempt) serves both kinds of run, and a slot must find its
        place free. Keys of their own for manual runs were considered and rejected: other
        programs rely on that key.
        """
        nominal = now if now.microsecond else now + _TICK
        while self._is_slot(task, nominal):
            nominal += _TICK
        return nominal

    def _is_slot(self, task: ScheduledTask, instant: datetime) -> bool:
        """Whether a run has that very instant for its slot, or what is due now will have it."""
        if self._store.runs.slot_has_run(require_id(task), instant):
            return True
        queued = self._store.queue.queued_slot(require_id(task))
        if queued is None:
            return False
        with suppress(ScheduleError):
            return catch_up(task_schedule(task, self._zone()), queued, instant).slot == instant
        return False
