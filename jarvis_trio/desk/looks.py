"""People look at tasks, runs, the daemon, and what comes next and why. Nothing is written.

What tells why and what comes next is imported where it is asked for: `list` needs none of it, and
it is a tenth of what `list` costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jarvis_trio.desk.requests import RunsRequest, TasksRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import zone_of
from jarvis_trio.errors import JarvisError, ScheduleError, TaskError, UnknownTaskError
from jarvis_trio.models import ASIDE, Run, RunStatus, ScheduledTask, TroubleKind, require_id
from jarvis_trio.notation.instants import as_utc, duration_text
from jarvis_trio.notation.text import counted, with_name
from jarvis_trio.policy import task_policy
from jarvis_trio.process.disk import Room, room_at
from jarvis_trio.process.identity import owner_process
from jarvis_trio.schedules.schedule import is_over, stored_next_run

if TYPE_CHECKING:
    from jarvis_trio.insight.days import DayExplanation
    from jarvis_trio.insight.explain import Explanation
    from jarvis_trio.insight.forecast import Upcoming
    from jarvis_trio.insight.machines import MachineState
    from jarvis_trio.process.lock import Holder

_LATEST = datetime.max.replace(tzinfo=UTC)
_LAST_RUNS = 5

FINISHED_FOR = timedelta(days=1)
"""How long a task that was to run once stays among the others after it did."""


class TaskState(NamedTuple):
    """A task and how it stands.

    Attributes:
        last: its last run.
        set_aside: why it was set aside; None if it was not.
        running: its run that is under way.
        failing: whether it fails, misses its times, or has not succeeded for too long.
        is_over: whether its only time is over, so that it never runs again.
    """

    task: ScheduledTask
    last: Run | None
    set_aside: str | None
    running: Run | None = None
    failing: bool = False
    is_over: bool = False


class Chosen(NamedTuple):
    """The tasks that are asked for, as far as a limit shows them, and how many more there are."""

    states: list[TaskState]
    more: int


class TaskDetail(NamedTuple):
    """A task with its next slots and its last runs, the newest first."""

    state: TaskState
    next: list[Upcoming]
    runs: list[Run]


class Status(NamedTuple):
    """How the daemon and the tasks stand.

    Attributes:
        next: a task's name and its slot (aware UTC).
        runs: what runs now, the oldest first, each with its processes; a Python handler has none.
        machines: those that share the database; none if it is this machine's alone.
        room: what is free on the disk of the database; None if it is a server's.
    """

    daemon: Holder | None
    total: int
    enabled: int
    overdue: int
    failing: list[str]
    set_aside: list[str]
    next: tuple[str, datetime] | None
    undelivered: int
    runs: Sequence[tuple[Run, list[int]]] = ()
    machines: Sequence[MachineState] = ()
    room: Room | None = None


class Outlook(NamedTuple):
    """The slots from `start` (aware UTC) on, in order and each computed when it is asked for.

    `left_out` has the reason for each task that will not run as it stands.
    """

    start: datetime
    slots: Iterator[Upcoming]
    left_out: dict[str, str]


def tasks(session: Session) -> list[TaskState]:
    """All tasks by name."""
    return _states(session, session.store.list_scheduled_tasks(), session.store.runs.last_runs())


def chosen_tasks(session: Session, request: TasksRequest) -> Chosen:
    """The tasks that are asked for, by name.

    Only those that are shown are read whole, so to look at some of very many is quick.
    """
    numbers = _chosen_numbers(session, request)
    shown = numbers[: request.limit]
    found = session.store.tasks.numbered(shown)
    return Chosen(_states(session, found, session.store.runs.last_runs(shown)), len(numbers) - len(shown))


def _states(session: Session, found: list[ScheduledTask], last_runs: dict[int, Run]) -> list[TaskState]:
    set_aside = session.store.troubles.reasons_set_aside()
    failing = _failing(session)
    running = {run.task_id: run for run in session.store.runs.live_runs()}
    return [
        TaskState(
            task=task,
            last=last_runs.get(require_id(task)),
            set_aside=set_aside.get(require_id(task)),
            running=running.get(require_id(task)),
            failing=task.id in failing,
            is_over=is_over(task, session.zone(), session.store.runs.is_slot_over),
        )
        for task in found
    ]


def _chosen_numbers(session: Session, request: TasksRequest) -> list[int]:
    store = session.store
    left_out = set() if request.finished else _finished(session)
    wanted: list[set[int]] = []
    if request.failing:
        wanted.append(_failing(session) | set(store.troubles.reasons_set_aside()))
    if request.due:
        wanted.append(_due(session) - set(store.troubles.reasons_set_aside()))
    if request.text is not None:
        wanted.append(store.tasks.with_text(request.text))
    return [
        number
        for number in store.tasks.numbers()
        if number not in left_out and all(number in chosen for chosen in wanted)
    ]


def _due(session: Session) -> set[int]:
    now, zone = session.now(), session.zone()
    slots = {require_id(task): stored_next_run(task, zone) for task in session.store.tasks.maybe_due(now)}
    return {number for number, slot in slots.items() if slot is not None and slot <= now}


def _failing(session: Session) -> set[int]:
    return {trouble.task_id for trouble in session.store.troubles.list_troubles() if trouble.kind not in ASIDE}


def _finished(session: Session) -> set[int]:
    """The tasks that were to run once, and whose run ended more than `FINISHED_FOR` ago."""
    now, last_runs = session.now(), session.store.runs.last_runs(session.store.tasks.run_once())
    return {
        number
        for number, run in last_runs.items()
        if run.finished_at is not None and now - run.finished_at > FINISHED_FOR
    }


def task_state(session: Session, task: ScheduledTask) -> TaskState:
    """How one task stands."""
    [state] = _states(session, [task], session.store.runs.last_runs([require_id(task)]))
    return state


def task_detail(session: Session, name: str) -> TaskDetail:
    """One task, with what comes next and what came last. Raises UnknownTaskError."""
    task = session.task(name)
    runs = session.store.runs.list_runs(task=task.name, limit=_LAST_RUNS)
    return TaskDetail(state=task_state(session, task), next=next_slots(session, task), runs=runs)


def next_slots(session: Session, task: ScheduledTask, count: int = 3) -> list[Upcoming]:
    """The next slots of a task; none if it is not enabled or cannot be scheduled."""
    from jarvis_trio.insight.forecast import forecast  # noqa: PLC0415  # see above

    now = session.now()
    return list(islice(forecast(session.store, [task], now, _LATEST, now).slots, count))


def runs(session: Session, request: RunsRequest) -> list[Run]:
    """The runs that are asked for, the newest first.

    Raises UnknownTaskError for a name that neither a task nor a run has, ScheduleError.
    """
    from jarvis_trio.notation.moments import Toward, read_instant  # noqa: PLC0415  # see above

    task = request.task and session.find_task(request.task)
    name = task.name if task else request.task
    since = request.since and read_instant(request.since, session.now(), session.zone(), Toward.PAST)
    found = session.store.runs.list_runs(
        task=name,
        status=RunStatus(request.status) if request.status else None,
        since=since or None,
        limit=request.limit,
    )
    if not found and name and not session.store.runs.list_runs(task=name, limit=1):
        session.task(name)
    return found


def run(session: Session, number: int) -> Run:
    """One run. Raises UnknownTaskError."""
    found = session.store.runs.get_run(number)
    if found is None:
        fix = "see: jarvis-trio history"
        raise UnknownTaskError(f"no run has the number {number}, and no task that name", fix=fix)
    return found


def default_time_limit(session: Session, task: ScheduledTask) -> str | None:
    """How long a run of a task may take that sets no limit itself; None if it sets one."""
    with suppress(ScheduleError):
        if task_policy(task.policy).timeout_seconds is None:
            return duration_text(timedelta(seconds=session.settings.handler_timeout_seconds))
    return None


def run_or_task(session: Session, word: str) -> Run | ScheduledTask:
    """What a person means by a word: the task with that name, or else the run with that number.

    Raises UnknownTaskError.
    """
    if session.find_task(word) is None and word.isdecimal() and len(word) < len(str(2**63)):
        return run(session, int(word))
    return session.task(word)


def run_named(session: Session, word: str) -> Run:
    """The run that a person means: by its number, or as the last one of a task.

    Raises TaskError if there is none.
    """
    meant = run_or_task(session, word)
    if isinstance(meant, Run):
        return meant
    name = meant.name
    found = session.store.runs.list_runs(task=name, limit=1)
    if not found:
        raise TaskError(f"task {name!r} has not run yet", fix=with_name("`jarvis-trio explain {}` says why", name))
    return found[0]


def pids(run: Run) -> list[int]:
    """The processes of a run, the oldest first; none of a Python handler, which is a thread."""
    from jarvis_trio.handlers.processes import processes_of  # noqa: PLC0415  # psutil: 20 ms

    return processes_of(owner_process(run.owner), str(run.id))


def status(session: Session) -> Status:
    """How things stand now."""
    from jarvis_trio.insight.machines import machine_states  # noqa: PLC0415  # see above

    now = session.now()
    with session.look() as store:  # opened again each time: other programs may write to what was nobody's before
        troubled, undelivered = store.troubles.list_troubles(), store.outbox.letters_waiting()
        names = store.tasks.task_names({trouble.task_id for trouble in troubled})
        aside = {trouble.task_id for trouble in troubled if trouble.kind in ASIDE}
        total, enabled = store.tasks.count_scheduled_tasks(), store.tasks.count_enabled_tasks(aside)
        standing = store.queue.backlog(now, aside)
        machines = machine_states(store, now)
        under_way = store.runs.live_runs()

    troubles = {(trouble.kind, names.get(trouble.task_id, "")) for trouble in troubled}
    return Status(
        daemon=session.daemon(),
        total=total,
        enabled=enabled,
        overdue=standing.overdue,
        failing=sorted(name for kind, name in troubles if kind not in ASIDE),
        set_aside=sorted(name for kind, name in troubles if kind is TroubleKind.SET_ASIDE),
        next=standing.next,
        undelivered=undelivered,
        runs=[(run, pids(run)) for run in under_way],
        machines=machines,
        room=None if session.settings.database_url else room_at(session.settings.memory_db_path.parent),
    )


def explanation(session: Session, name: str, at: str | None) -> Explanation | DayExplanation:
    """Why a task ran, did not run, or will run: at a time, on a day, or now.

    Raises UnknownTaskError, ScheduleError.
    """
    from jarvis_trio.insight.days import explain_day  # noqa: PLC0415  # see above
    from jarvis_trio.insight.explain import explain  # noqa: PLC0415  # as above
    from jarvis_trio.notation.moments import Toward, read_day, read_moment  # noqa: PLC0415  # as above

    task, now = session.task(name), session.now()
    zone, runs = zone_of(task, session.zone()), _daemon_runs(session)
    if at is not None and (day := read_day(at, now, zone)) is not None:
        return explain_day(session.store, task, day, now, daemon_runs=runs)
    asked = None if at is None else read_moment(at, now, zone, Toward.EITHER)
    return explain(session.store, task, asked, now, daemon_runs=runs)


def outlook(session: Session, name: str | None, start: str | None, days: int) -> Outlook:
    """What will run in the days from `start`, or from now, of one task or of all.

    Days are of the calendar if `start` is a local time, and of 24 hours if it is an
    instant. Raises UnknownTaskError, ScheduleError.
    """
    from jarvis_trio.insight.forecast import forecast  # noqa: PLC0415  # see above
    from jarvis_trio.notation.moments import Toward, read_moment  # noqa: PLC0415  # as above

    now, zone = session.now(), session.zone()
    asked = read_moment(start, now, zone, Toward.EITHER) if start else now
    try:
        begin, end = as_utc(asked, zone), as_utc(asked + timedelta(days=days), zone)
    except OverflowError:
        says = f"time out of range: {counted(days, 'day')} from {asked.isoformat()}"
        raise ScheduleError(says, fix="use fewer days") from None

    wanted = session.store.list_scheduled_tasks() if name is None else [session.task(name)]
    found = forecast(session.store, wanted, begin, end, now)
    return Outlook(start=begin, slots=found.slots, left_out=found.left_out)


def _daemon_runs(session: Session) -> bool | None:
    try:
        return session.daemon() is not None
    except JarvisError:
        return None
