"""The one JSON shape of tasks, runs, status and explanations, for every face.

Times are local, with their UTC offset; durations are numbers of seconds, and their
names say so. A name that is published here stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from jarvis_trio.desk.looks import Status, TaskDetail, TaskState
from jarvis_trio.errors import ScheduleError
from jarvis_trio.models import Run, RunStatus, ScheduledTask
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.jsontext import json_value
from jarvis_trio.policy import Policy, task_policy
from jarvis_trio.process.identity import owner_machine
from jarvis_trio.process.lock import Holder
from jarvis_trio.schedules.schedule import task_schedule

if TYPE_CHECKING:  # 10 ms, which `list` need not pay
    from jarvis_trio.desk.moving import Move
    from jarvis_trio.insight.days import DayExplanation
    from jarvis_trio.insight.explain import Explanation
    from jarvis_trio.insight.forecast import Upcoming
    from jarvis_trio.insight.machines import MachineState
    from jarvis_trio.insight.timeline import Timeline

View = dict[str, Any]

# The views do without `asdict`: it copies each value, and takes longer than all the rest.
_POLICY_KEYS = tuple(key.name for key in fields(Policy))
_TASK_COLUMNS = ("id", *(column.name for column in fields(ScheduledTask) if column.name != "id"))


def task_view(state: TaskState, zone: tzinfo) -> View:
    """A task: the table's columns as they are, its `definition` taken apart, and how it stands."""
    columns = {name: getattr(state.task, name) for name in _TASK_COLUMNS}
    return columns | {
        "definition": definition_view(state.task, zone),
        "last_status": state.last and str(state.last.status),
        "set_aside": state.set_aside,
        "failing": state.failing,
        "running": state.running and live_view(state.running, zone),
    }


def definition_view(task: ScheduledTask, zone: tzinfo) -> View:
    """What a task is defined to be, without JSON in texts; null for a part that nobody can read."""
    return {
        "schedule": _schedule_view(task, zone),
        "handler": {"type": task.handler_type, "config": json_value(task.handler_config)},
        "policy": _policy_view(task.policy),
        "delivery": task.delivery_channel
        and {"channel": task.delivery_channel, "config": json_value(task.delivery_config)},
    }


def detail_view(detail: TaskDetail, zone: tzinfo) -> View:
    """A task with its next times and its last runs."""
    return task_view(detail.state, zone) | {
        "next": times_view(detail.next, zone),
        "runs": [run_view(run, zone) for run in detail.runs],
    }


def times_view(slots: Iterable[Upcoming], zone: tzinfo) -> list[str]:
    """The times of slots."""
    return [local_text(slot.at, zone) for slot in slots]


def run_view(run: Run, zone: tzinfo) -> View:
    """A run; its result and its delivery are what their JSON means."""
    return {
        "id": run.id,
        "task": run.task_name,
        "scheduled_for": local_text(run.scheduled_for, zone),
        "attempt": run.attempt,
        "started_at": local_text(run.started_at, zone),
        "finished_at": run.finished_at and local_text(run.finished_at, zone),
        "status": str(run.status),
        "reason": run.reason,
        "result": json_value(run.result),
        "trigger": str(run.trigger),
        "collapsed": run.collapsed,
        "delivery": json_value(run.delivery),
        **_on_machine(run),
    }


def live_view(run: Run, zone: tzinfo) -> View:
    """A run that is under way."""
    started = {"run": run.id, "task": run.task_name, "started_at": local_text(run.started_at, zone)}
    return started | _on_machine(run)


def _on_machine(run: Run) -> View:
    """The machine of a run; nothing if the database is one machine's alone."""
    machine = owner_machine(run.owner)
    return {} if machine is None else {"machine": machine}


def machine_view(state: MachineState, zone: tzinfo) -> View:
    """A machine of those that share the database."""
    machine = state.machine
    return {
        "machine": machine.name,
        "seen_at": local_text(machine.seen_at, zone),
        "away": state.away,
        "version": machine.version,
        "clock_ahead_seconds": machine.clock_ahead and machine.clock_ahead.total_seconds(),
        "labels": list(machine.labels),
        "takes_any": machine.takes_any,
        "handlers": sorted(machine.handlers),
    }


def outcome_view(task: ScheduledTask, run: Run) -> View:
    """How a requested run ended, as the engine reports it: `result`, or `error` if it failed."""
    ended = {"result": json_value(run.result)}
    if run.status is not RunStatus.EXECUTED:
        ended["error"] = run.reason
    return {
        "task_id": task.id,
        "name": task.name,
        "handler_type": task.handler_type,
        "status": str(run.status),
        "next_run_at": task.next_run_at,
        "run": run.id,
        **ended,
    }


def report_view(report: View) -> View:
    """What the engine returns of a slot, with the result as its JSON means it."""
    return report | {"result": json_value(report.get("result"))}


def status_view(seen: Status, zone: tzinfo) -> View:
    """How the daemon and the tasks stand."""
    daemon = seen.daemon or Holder(None, None, None)
    machines = {"machines": [machine_view(state, zone) for state in seen.machines]} if seen.machines else {}
    return {
        "running": seen.daemon is not None,
        "pid": daemon.pid,
        "started_at": _maybe(daemon.started_at, zone),
        "last_tick_at": _maybe(daemon.last_tick_at, zone),
        "tasks": {
            "total": seen.total,
            "enabled": seen.enabled,
            "overdue": seen.overdue,
            "failing": len(seen.failing),
            "set_aside": len(seen.set_aside),
        },
        "next": seen.next and {"task": seen.next[0], "at": local_text(seen.next[1], zone)},
        "undelivered": seen.undelivered,
        "disk_full": seen.room is not None and seen.room.is_short(),
        "runs": [live_view(run, zone) | {"pids": pids} for run, pids in seen.runs],
        **machines,
    }


def explanation_view(task: str, found: Explanation | DayExplanation) -> View:
    """Why a task fires or does not at an instant, or on a day; times are in the task's zone."""
    from jarvis_trio.insight.days import DayExplanation  # noqa: PLC0415  # as above

    if isinstance(found, DayExplanation):
        return _day_view(task, found)
    zone, firing = found.moment.zone, found.firing
    return {
        "task": task,
        "at": local_text(found.moment.at, zone),
        "answer": found.answer,
        "verdict": str(found.verdict),
        "notes": list(found.notes),
        "fires": firing.slot is not None,
        "why": firing.why,
        "slot": _maybe(firing.slot, zone),
        "before": _maybe(firing.before, zone),
        "after": _maybe(firing.after, zone),
        "fields": [
            {"field": check.field, "says": check.text, "is": check.value, "matches": check.matches}
            for check in firing.fields
        ],
        "runs": [run_view(run, zone) for run in found.runs],
    }


def _day_view(task: str, found: DayExplanation) -> View:
    """What a task did on a day, or will do; times are in the task's zone."""
    return {
        "task": task,
        "day": found.day.isoformat(),
        "answer": found.answer,
        "counts": found.counts,
        "slots": [
            {
                "at": local_text(slot.at, found.zone),
                "verdict": str(slot.verdict),
                "answer": f"{task} {slot.sentence}.",
            }
            for slot in found.slots
        ],
        "left_out": found.left_out,
        "notes": list(found.notes),
    }


def upcoming_view(slot: Upcoming) -> View:
    """A slot to come, in its task's zone."""
    return {"task": slot.task, "at": local_text(slot.at, slot.zone)}


def timeline_view(chart: Timeline) -> View:
    """The runs of a span of time, a lane for each task, and what is ahead."""
    zone = chart.zone
    lanes = [
        {
            "task": lane.task,
            "runs": [run_view(bar.run, zone) for bar in lane.bars],
            "ahead": [local_text(slot, zone) for slot in lane.ahead],
        }
        for lane in chart.lanes
    ]
    ends = {"from": chart.start, "now": chart.now, "to": chart.end}
    return {name: local_text(instant, zone) for name, instant in ends.items()} | {"lanes": lanes}


def import_view(move: Move, zone: tzinfo) -> View:
    """What an import changes, and what becomes of the entries of another scheduler."""
    plan = move.plan
    changes = [
        {
            "task": change.after.name,
            "new": change.before is None,
            "definition": definition_view(change.after, zone),
        }
        for change in plan.changes
    ]
    removed = [task.name for task in plan.pruned]
    entries = [
        {
            "place": entry.place,
            "text": entry.text,
            "tasks": [task.name for task in entry.tasks],
            "why_not": entry.why or None,
            "notes": list(entry.notes),
        }
        for entry in move.entries
    ]
    return {
        "changes": changes,
        "removed": removed,
        "left_out": plan.left_out,
        "total": plan.total,
        "entries": entries,
    }


def _schedule_view(task: ScheduledTask, zone: tzinfo) -> View | None:
    try:
        schedule = task_schedule(task, zone)
    except ScheduleError:
        return None
    option, value = schedule.as_option()
    if isinstance(value, str):
        return {option: value}
    seconds = value.total_seconds()
    return {f"{option}_seconds": int(seconds) if seconds.is_integer() else seconds}


def _policy_view(text: str | None) -> View | None:
    try:
        policy = task_policy(text)
    except ScheduleError:
        return None
    return {name: getattr(policy, name) for name in _POLICY_KEYS}


def _maybe(instant: datetime | None, zone: tzinfo) -> str | None:
    return None if instant is None else local_text(instant, zone)
