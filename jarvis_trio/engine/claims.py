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
3. The process dies between the claim and the end of the run. The row stays `running` with its
   owner; `recover`, in any other process, ends it and queues its slot again.
4. A run looks orphaned, and its owner ends it meanwhile. `interrupt_run` changes only a row that
   is still as it was read.
5. Another program's trigger refuses a write of the decision. The transaction is taken back, and the
   engine begins it again; the task is passed over meanwhile.
6. The answer to the COMMIT of a claim is lost. Nobody makes that run, so `recover` ends it if it
   is there, and its slot runs again. If another program's trigger refuses that end, it is tried
   again, as it is for the runs of a process that is gone.
7. The clock is set back, so a slot that has run comes due again. Its row is still there: it is
   not run again, and the next slot counts what it stood for.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from enum import Enum, auto
from math import ceil
from typing import NamedTuple

from jarvis_trio.engine.interrupted import run_again
from jarvis_trio.engine.limits import Limits
from jarvis_trio.engine.notices import Notices
from jarvis_trio.engine.peers import Peers, Survivor
from jarvis_trio.engine.planner import Planner
from jarvis_trio.engine.refusals import Refusals
from jarvis_trio.errors import ConflictError, ScheduleError, TaskRunningError
from jarvis_trio.models import Claim, Due, Run, RunStatus, ScheduledTask, Trigger, TroubleKind, require_id
from jarvis_trio.notation.instants import duration_text
from jarvis_trio.notation.text import moment_words
from jarvis_trio.policy import task_policy
from jarvis_trio.process.identity import owner_pid
from jarvis_trio.schedules.kind import Schedule
from jarvis_trio.schedules.schedule import CatchUp, catch_up, task_schedule
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.places import place_of

_TICK = timedelta(microseconds=1)
_logger = logging.getLogger(__name__)


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


class _Doubt(NamedTuple):
    """A claim that may not be on the disk, and when `recover` looks for it (aware UTC)."""

    claim: Claim
    look_at: datetime


class Claims:
    """Decides, for one process, what of the queue is due, and claims it.

    Args:
        store: the database.
        zone: the machine's zone; instants are arguments.
        peers: this process, and what is known of the others.
        known_handlers: the handler types that can run here.
        notices: is told of slots that are missed.
        planner: reads the rows that were changed.
        limits: how much is decided in one transaction, and how long a recovery is awaited.
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
        self._unended: set[int] = set()
        self._survivors: dict[str, Sequence[Survivor]] = {}
        self._recovering = threading.Lock()
        self._recovers_since = 0.0
        self._doubts: list[_Doubt] = []

    @property
    def doubted_at(self) -> datetime | None:
        """When `recover` has claims to look for (aware UTC); None if it has none."""
        return min((doubt.look_at for doubt in self._doubts), default=None)

    def doubt(self, claims: Sequence[Claim]) -> None:
        """It is not known whether these claims are on the disk, and nobody makes their runs."""
        self._doubts += [_Doubt(claim, claim.started_at) for claim in claims]

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
            raise TaskRefusedError(error.says) from error
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

    def recover(self, now: datetime) -> None:
        """End the runs whose process is gone, and queue their slots again as the policy says.

        Runs of processes that live (another `tick`, a `run-now`) are not touched. Commands
        that outlived their process are ended first, so that no attempt overlaps them; that
        can take as long as a command may resist SIGTERM. If one cannot be ended, because it hangs
        in the kernel, its run goes on until it is gone.

        The runs of claims that were doubted are ended too: they have never begun.
        """
        if not self._may_recover():
            return
        try:
            others = self._store.runs.live_runs_of_others(self._peers.owner)
            dead = [run for run in others if self._peers.is_gone(run)]
            left = {owner: self._survivors_of(owner) for owner in {run.owner for run in dead} if owner is not None}
            for run in dead:
                if not any(survivor.holds(run) for survivor in left.get(run.owner or "", ())):
                    self._end(run, now, self._peers.why_gone(run))
            self._peers.settled()
            for doubt in tuple(self._doubts):
                is_over = self._give_up(doubt.claim, now)
                self._doubts.remove(doubt)  # only now, or an error would lose it
                if not is_over:
                    self._doubts.append(doubt._replace(look_at=now + self._limits.refused_pause))
        finally:
            self._recovering.release()

    def _may_recover(self) -> bool:
        """Whether this thread is the one that recovers; wait for one that has just begun to.

        The patience counts from the beginning of that recovery. A hunt that takes seconds would
        make each tick late by as much, and not only the first one.
        """
        steady = self._store.clock.monotonic
        patience = self._recovers_since + self._limits.recovery_patience.total_seconds() - steady()
        if not self._recovering.acquire(timeout=max(patience, 0.0)):
            return False
        self._recovers_since = steady()
        return True

    def _give_up(self, claim: Claim, now: datetime) -> bool:
        """End the run of a doubted claim, if it is there. Returns False if that is refused.

        The transaction in which it is read ends first: another program's trigger may undo that in
        which it is ended, and a tick must go on.
        """
        with self._store.transaction():  # so the one of the claim is over: there is one at a time
            run = self._store.runs.get_run(claim.run_id)
        if run is not None and (run.scheduled_for, run.started_at) == (claim.scheduled_for, claim.started_at):
            return self._end(run, now, "it never began: the database did not confirm its claim in time")
        return True

    def _survivors_of(self, owner: str) -> Sequence[Survivor]:
        """End what a dead process has left, and return what lives on.

        To hunt takes seconds, so as long as one of them lives there is no further hunt.
        """
        living = [survivor for survivor in self._survivors.pop(owner, ()) if survivor.is_alive()]
        if not living:
            living = list(self._peers.end_orphans(owner))
            for survivor in living:
                _logger.error(
                    "PID %d, which process %s left, cannot be ended; until it is gone its task does not start again",
                    survivor.pid,
                    owner_pid(owner),
                )
        if living:
            self._survivors[owner] = living
        return living

    def _end(self, run: Run, now: datetime, reason: str) -> bool:
        """End a run. Returns False if the database refuses that."""
        try:
            self._interrupt(run, now, reason)
        except ConflictError as error:
            if run.id not in self._unended:
                self._unended.add(run.id)
                _logger.error("Run %d of task %r cannot be ended: %s", run.id, run.task_name, error)
                if (task := self._store.runs.task_of_run(run.id)) is not None:
                    self._notices.refused(task, error.says, now)
            return False
        return True

    def _interrupt(self, run: Run, now: datetime, reason: str) -> None:
        stopped_by = self._store.requests.stopped_by(run.id)
        if stopped_by is not None:
            reason = f"stopped by {stopped_by}"
        with self._store.transaction():
            if not self._store.runs.interrupt_run(run, reason, now):
                return
            if run.status is RunStatus.RUNNING and run.trigger is Trigger.SCHEDULE and stopped_by is None:
                reason += run_again(self._store, self._notices, run, reason, now)
        if run.status is RunStatus.RUNNING:
            name = run.task_name
            _logger.warning("Task %r was interrupted: %s", name, reason, extra={"task": name})
