"""Checks of the tasks: what keeps one from running, or its result from arriving."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

from jarvis_trio.delivery import read_config
from jarvis_trio.delivery.secrets import reference
from jarvis_trio.doctor.findings import Finding, failed, problem, warning
from jarvis_trio.errors import DeliveryError, HandlerError, ScheduleError
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.commands import command_of
from jarvis_trio.handlers.custom import home_folder, passed_on
from jarvis_trio.handlers.secrets import CommandSecrets
from jarvis_trio.models import FAILED, ScheduledTask, ScheduleType, TroubleKind, require_id
from jarvis_trio.notation.text import counted, moment_words, with_name
from jarvis_trio.policy import task_policy
from jarvis_trio.schedules.schedule import schedule_warnings
from jarvis_trio.schedules.warnings import Code, ScheduleWarning
from jarvis_trio.settings import Settings
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.troubles import Trouble

_EDIT = "set right what it says: jarvis-trio edit {}"
_RESUME = "when it may run again: jarvis-trio resume {}"
_ONCE = (
    "run it again: jarvis-trio run-now {}; or give it another time: jarvis-trio edit {} --at TIME;"
    " or, if it no longer matters: jarvis-trio remove {}"
)
_THEN = "then run it again: jarvis-trio run-now {}"
_HISTORY = "its runs: jarvis-trio history {}"
_SCHEDULE_FIXES = {
    Code.NEVER: "give it another schedule: jarvis-trio edit {} --every 1h",
    Code.PAST: "if it is no longer wanted: jarvis-trio remove {}",
    Code.OVER: "give it another time: jarvis-trio edit {} --at TIME; or remove it",
    Code.SHORT: "give it a longer interval: jarvis-trio edit {} --every 1m",
}
_TROUBLE_FIXES = {
    TroubleKind.HELD: _RESUME,
    TroubleKind.SET_ASIDE: _EDIT,
    TroubleKind.REFUSED: "drop the trigger or CHECK of another program that refuses it: sqlite3 MEMORY_DB_PATH .schema",
    TroubleKind.NO_HANDLER: "install what brings that handler and restart the daemon, or choose another:"
    " jarvis-trio edit {} --handler TYPE",
}
_OTHER_TIME = "if that matters, give it another time: jarvis-trio edit {}"
_DELIVERY = "jarvis-trio edit {} --deliver CHANNEL --deliver-config JSON"
_ALERT = "jarvis-trio edit {} --alert CHANNEL --alert-config JSON"
_REFERENCE = "put the URL into secrets.env and name it in its place, as env:NAME"


def refused_commands(
    tasks: Iterable[ScheduledTask], settings: Settings, environment: Mapping[str, str]
) -> dict[int, list[HandlerError]]:
    """Why the daemon, with that environment, would not start a command, by the task's number."""
    approvals, secrets = Approvals(settings.approvals_file), CommandSecrets(environment, settings.data_dir)
    path, home = passed_on(environment)["PATH"], home_folder(environment)
    refused: dict[int, list[HandlerError]] = {}
    for task in (task for task in tasks if task.runs_command):
        try:
            command = command_of(task)
        except HandlerError as error:
            refused[require_id(task)] = [error]
            continue
        for check in (partial(approvals.check, command, path, home), partial(secrets.values, command.secrets)):
            try:
                check()
            except HandlerError as error:
                refused.setdefault(require_id(task), []).append(error)
    return refused


def check_troubles(
    store: MemoryStore,
    tasks: Sequence[ScheduledTask],
    zone: tzinfo,
    refused: Mapping[int, Iterable[HandlerError]],
) -> Iterator[Finding]:
    """Which tasks fail, missed slots, or are set aside.

    The fix is that of what keeps a command from starting, if the trouble tells of it.
    """
    by_id = {require_id(task): task for task in tasks}
    troubles = [trouble for trouble in _troubles(store) if trouble.task_id in by_id]
    for trouble in troubles:
        task = by_id[trouble.task_id]
        since = f"{trouble.kind} since {moment_words(trouble.since, zone)}"
        cause = next((error for error in refused.get(trouble.task_id, ()) if _tells(trouble, error)), None)
        reason = trouble.reason if cause is None else cause.says
        yield problem("task", f"{task.name}: {since}: {reason}", _trouble_fix(task, trouble, cause))
    count = f"{counted(len(tasks), 'task')}, of which {sum(task.enabled for task in tasks)} enabled"
    if not troubles:
        yield Finding("tasks", f"{count}; none is in trouble")


def _troubles(store: MemoryStore) -> list[Trouble]:
    """What is wrong. Of a task that fails, why it did so last: a trouble has the first reason."""
    troubles = store.troubles.list_troubles()
    runs = store.runs.last_runs([trouble.task_id for trouble in troubles if trouble.kind is TroubleKind.FAILING])
    last = {task_id: run.reason for task_id, run in runs.items() if run.status in FAILED}
    return [
        trouble._replace(reason=last.get(trouble.task_id) or trouble.reason)
        if trouble.kind is TroubleKind.FAILING
        else trouble
        for trouble in troubles
    ]


def _tells(trouble: Trouble, error: HandlerError) -> bool:
    """Whether a trouble is that error: the last run failed by what is still so."""
    return trouble.reason in (error.says, str(error))


def _trouble_fix(task: ScheduledTask, trouble: Trouble, cause: HandlerError | None) -> str:
    single = task.schedule_type == ScheduleType.ONCE
    if cause is None:
        return _for(_TROUBLE_FIXES.get(trouble.kind, _ONCE if single else _HISTORY), task.name)
    fix = cause.fix or _for(_EDIT, task.name)
    return f"{fix}; {_for(_THEN, task.name)}" if single else fix


def check_schedules(
    tasks: Iterable[ScheduledTask],
    zone: tzinfo,
    now: datetime,
    has_begun: Callable[[ScheduledTask, datetime], bool],
    is_over: Callable[[ScheduledTask, datetime], bool],
) -> Iterator[Finding]:
    """Which schedules never fire, and which ones a change of the clock touches.

    A schedule that many tasks share is checked once: that can take some milliseconds. A single time
    is each task's own: `has_begun` says whether a run for it began, and `is_over` whether the task
    is done with it.
    """
    known: dict[tuple[object, ...], list[ScheduleWarning]] = {}
    for task in tasks:
        own = task.name if task.schedule_type == "once" else ""
        schedule = (own, task.schedule_type, task.schedule_config, task.policy)
        if schedule not in known:
            known[schedule] = schedule_warnings(task, zone, now, partial(has_begun, task), partial(is_over, task))
        for found in known[schedule]:
            says, fix = f"{task.name}: {found.sentence}", _for(_SCHEDULE_FIXES.get(found.code, _OTHER_TIME), task.name)
            if found.harmless:
                yield Finding("schedule", says)
            else:
                yield (problem if found.code is Code.NEVER else warning)("schedule", says, fix)


def check_handlers(tasks: Iterable[ScheduledTask], known: Container[str]) -> Iterator[Finding]:
    """Which tasks are skipped, since no installed package brings their handler."""
    for task in tasks:
        if task.handler_type not in known:
            says = f"{task.name}: no handler of type {task.handler_type} is installed, so it is skipped"
            fix = _for("install the package that brings it, or: jarvis-trio pause {}", task.name)
            yield warning("handler", says, fix)


def check_commands(
    store: MemoryStore, tasks: Iterable[ScheduledTask], refused: Mapping[int, Iterable[HandlerError]]
) -> Iterator[Finding]:
    """Which commands the daemon would not start, except those of which a trouble tells already."""
    troubles = _troubles(store)
    for task in tasks:
        for error in refused.get(require_id(task), ()):
            if not any(trouble.task_id == task.id and _tells(trouble, error) for trouble in troubles):
                yield failed("command", error, _for(_EDIT, task.name), of=task.name)


def check_delivery(
    tasks: Iterable[ScheduledTask], check: Callable[[str, Mapping[str, Any]], None]
) -> Iterator[Finding]:
    """Which results cannot be delivered, and which addresses with secrets are in the database."""
    for task in tasks:
        if not task.delivery_channel:
            continue
        try:
            config = read_config(task.delivery_config, "delivery_config")
            check(task.delivery_channel, config)
        except DeliveryError as error:
            yield failed("delivery", error, _for(_DELIVERY, task.name), of=task.name)
            continue
        if _holds_secrets(task.delivery_channel, config):
            says = f"{task.name}: an Apprise URL, with its secrets, is in the database"
            yield warning("delivery", says, _for(f"{_REFERENCE}: jarvis-trio edit {{}}", task.name))


def check_own_alerts(
    tasks: Iterable[ScheduledTask], check: Callable[[str, Mapping[str, Any]], None]
) -> Iterator[Finding]:
    """Which tasks name a channel for their alerts that cannot deliver them, or secrets of one."""
    for task in tasks:
        try:
            policy = task_policy(task.policy)
        except ScheduleError:  # the task is set aside for it
            continue
        if policy.alert_channel is None:
            continue
        config = policy.alert_config or {}
        try:
            check(policy.alert_channel, config)
        except DeliveryError as error:
            yield failed("delivery", error, _for(_ALERT, task.name), of=f"{task.name}, its alerts")
            continue
        if _holds_secrets(policy.alert_channel, config):
            says = f"{task.name}: an Apprise URL for its alerts, with its secrets, is in the database"
            yield warning("delivery", says, _for(f"{_REFERENCE}: {_ALERT}", task.name))


def check_alerts(settings: Settings, check: Callable[[str, Mapping[str, Any]], None]) -> Iterator[Finding]:
    """Whether anybody is told of a task in trouble. Raises DeliveryError for a bad setting."""
    if not settings.alert_channel:
        yield Finding("alerts", "tasks in trouble are told to nobody: JARVIS_ALERT_CHANNEL is not set")
        return
    config = read_config(settings.alert_config, "JARVIS_ALERT_CONFIG")
    check(settings.alert_channel, config)
    if _holds_secrets(settings.alert_channel, config):
        says = "JARVIS_ALERT_CONFIG holds an Apprise URL, with its secrets, which a launchd agent's plist shows to all"
        yield warning("alerts", says, _REFERENCE)
    else:
        yield Finding("alerts", f"tasks in trouble are told by {settings.alert_channel}")


def check_undelivered(store: MemoryStore) -> Iterator[Finding]:
    """How many messages wait for another try."""
    waiting = store.outbox.letters_waiting()
    if waiting:
        says = f"{counted(waiting, 'message')} could not be delivered yet, and will be tried again"
        fix = "jarvis-trio history tells why; to try a channel: jarvis-trio deliver-test CHANNEL"
        yield warning("delivery", says, fix)


def _holds_secrets(channel: str, config: Mapping[str, Any]) -> bool:
    """Whether a configuration that was checked has an address with secrets, and not their names
    only.
    """
    urls = config["urls"] if channel == "apprise" else []
    return any(reference(url) is None for url in ([urls] if isinstance(urls, str) else urls))


def _for(fix: str, name: str) -> str:
    return with_name(fix, name)
