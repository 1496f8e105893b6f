"""Moving in: the entries of other schedulers, fitted to the tasks that are there."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from jarvis_trio.desk.exchange import Import, checked_task, plan_import
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.moving.entry import Entry
from jarvis_trio.notation.jsontext import json_object


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What becomes of the entries, in their order, and what that changes."""

    entries: list[Entry]
    plan: Import


def plan_move(session: Session, entries: Sequence[Entry]) -> Move:
    """What changes if these entries move in.

    An existing task never changes. Another one with its name gets a number, and an entry that
    has moved in before changes nothing. An entry whose program is not there is refused.
    """
    present = {task.name: task for task in session.store.list_scheduled_tasks()}
    names: set[str] = set()
    fitted = []
    for entry in entries:
        entry = _fitted(entry, present, names, session)
        names |= {task.name for task in entry.tasks}
        fitted.append(entry)
    return Move(entries=fitted, plan=plan_import(session, [task for entry in fitted for task in entry.tasks]))


def _fitted(entry: Entry, present: Mapping[str, ScheduledTask], names: Collection[str], session: Session) -> Entry:
    tasks: list[ScheduledTask] = []
    try:
        for task in entry.tasks:
            found = _placed(_with_program(task, session), present, {*names, *(task.name for task in tasks)})
            checked_task(found, present.get(found.name), session)
            tasks.append(found)
    except JarvisError as error:
        return replace(entry, tasks=(), why=str(error))
    return replace(entry, tasks=tuple(tasks))


def _with_program(task: ScheduledTask, session: Session) -> ScheduledTask:
    """The task with the path of its program, if only a name is given: the daemon has another PATH.

    Raises TaskError if the program is not there.
    """
    from jarvis_trio.desk.commands import program_path  # noqa: PLC0415  # as `Session.handlers`

    config = json_object(task.handler_config, "handler_config")
    name, *arguments = config["command"]
    program = program_path(name, session.search_path)
    if name.startswith("/"):
        return task
    return replace(task, handler_config=json.dumps(config | {"command": [program, *arguments]}))


def _placed(task: ScheduledTask, present: Mapping[str, ScheduledTask], names: Collection[str]) -> ScheduledTask:
    """The task under a free name, such as `backup-2`, or the existing task that does the same."""
    for name in chain([task.name], (f"{task.name}-{number}" for number in count(2))):
        other = present.get(name)
        if name not in names and (other is None or _does(other) == _does(task)):
            return other or replace(task, name=name)
    raise AssertionError


def _does(task: ScheduledTask) -> object:
    configs = [json_object(text, "configuration") for text in (task.schedule_config, task.handler_config)]
    return task.schedule_type, task.handler_type, configs
