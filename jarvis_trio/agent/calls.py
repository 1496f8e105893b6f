"""What each tool does: an act of the desk, within the bounds of an agent.

Guarantees:
1. Nothing here approves a program: the acts are told that no person is there (law 9).
2. What an agent adds or changes is marked as its own; such a command runs only if a person has
   approved it for agents, or exactly as it stands.
3. No result goes to an address of an agent's choosing.
4. An agent gives a command its words alone: neither secrets nor variables nor a folder.
5. One session for each call, so that a replaced or restored database is noticed at the next.

This code assumes that calls can come from several threads at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from jarvis_trio.agent.tools import CONFIGURABLE, TOOLS
from jarvis_trio.delivery.message import readable
from jarvis_trio.desk import acts, errands, looks, views
from jarvis_trio.desk.acts import Saved
from jarvis_trio.desk.requests import RunsRequest, TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import DaemonMissingError, RequestError, TaskError
from jarvis_trio.models import Run, RunStatus, ScheduledTask
from jarvis_trio.notation.instants import parse_duration
from jarvis_trio.notation.text import printable

MOST_ADDED = 20
"""Tasks that one session of a client may add: more is a loop, not a person's wish."""

SHORTEST_INTERVAL = timedelta(minutes=1)
"""How often a task of an agent may run at most."""

OUTPUT_CHARACTERS = 4_000
"""The end of a run's output that is handed to a model; the rest is counted."""

WAIT = timedelta(seconds=45)
"""How long `run_task` waits for a run. Clients give up at 60 s, whatever progress says."""

Answer = dict[str, Any]
Arguments = Mapping[str, Any]


class Waiting:
    """A run that was asked for: looked at again and again, until it ends or nobody waits for it.

    Args:
        session: opens a session.
        name: the task.
        request: the number of the request.
        wait: how long to wait for its end.
    """

    def __init__(self, session: Callable[[], Session], name: str, request: int, wait: timedelta) -> None:
        self._open = session
        self._name = name
        self._request = request
        self._wait = wait
        self._since: datetime | None = None

    def look(self) -> Answer | None:
        """The answer: the run, ended or still going on when the wait is over; None before."""
        with self._open() as session:
            self._since = self._since or session.now()
            run = errands.asked_run(session, self._request)
            over = session.now() - self._since >= self._wait
            if run is not None and run.status is not RunStatus.RUNNING:
                return _run_with_output(run, session)
            if not over:
                return None
            view = None if run is None else views.run_view(run, session.zone())
        stands = "still runs and goes on;" if run else "has not begun yet; the daemon may still run it, and"
        return {"still_running": True, "run": view, "says": f"{self._name} {stands} list_runs tells its end"}

    def cancel(self) -> None:
        """End exactly this run: the client's person no longer wants it."""
        with self._open() as session:
            errands.end_asked_run(session, self._request, "the assistant's client: cancelled")


class Calls:
    """The tools of one client's session.

    Args:
        session: opens a session of the desk; called for each call.
        read_only: whether only the tools that look are there, and the database is opened read-only.
        wait: how long `run_task` waits for the end of a run.

    Attributes:
        is_over: whether the client has gone.
    """

    def __init__(self, session: Callable[[], Session], *, read_only: bool = False, wait: timedelta = WAIT) -> None:
        self.read_only = read_only
        self._wait = wait
        self._open = session
        self.is_over = False
        self._added = 0
        self._guard = threading.Lock()

    def call(self, name: str, arguments: Arguments) -> Answer | Waiting:
        """Make one call of a tool, with arguments that its schema allows. Raises JarvisError."""
        with self._open() as session:
            session.only_looks = self.read_only or name in _LOOKS
            if name == "add_task":
                return self._add_task(session, arguments)
            if name == "run_task":
                request = errands.ask_run(session, arguments["name"], "an AI assistant")
                if request is None:
                    raise DaemonMissingError("no daemon runs that could run it", fix="start it with: jarvis-trio run")
                return Waiting(self._open, arguments["name"], request, self._wait)
            return _CALLS[name](session, arguments)

    def _add_task(self, session: Session, arguments: Arguments) -> Answer:
        with self._guard:
            if self._added >= MOST_ADDED:
                fix = "ask the person whether these are wanted; a new session may add more"
                raise TaskError(f"this session has added {MOST_ADDED} tasks", fix=fix)

            answer = _save(session, arguments, acts.add)
            self._added += not arguments.get("dry_run", False)
            return answer


def _list_tasks(session: Session, arguments: Arguments) -> Answer:
    match = arguments.get("match", "").casefold()
    states = [state for state in looks.tasks(session) if match in state.task.name.casefold()]
    return {"tasks": [views.task_view(state, session.zone()) for state in states]}


def _list_runs(session: Session, arguments: Arguments) -> Answer:
    wanted = {name: arguments[name] for name in ("task", "status", "since") if name in arguments}
    found = looks.runs(session, RunsRequest(**wanted, limit=arguments.get("limit", 20)))
    return {"runs": [_without_output(views.run_view(run, session.zone())) for run in found]}


def _without_output(view: Answer) -> Answer:
    return {key: value for key, value in view.items() if key != "result"}


def _read_run(session: Session, arguments: Arguments) -> Answer:
    return _run_with_output(looks.run(session, arguments["run"]), session)


def _run_with_output(run: Run, session: Session) -> Answer:
    """A run with the end of its output, cleaned of what would act on a terminal."""
    text = "" if run.result is None else readable(run.result)
    output = "\n".join(printable(line) for line in text.splitlines())

    kept = output[-OUTPUT_CHARACTERS:]
    view = views.run_view(run, session.zone())
    return view | {"result": None, "output": kept, "left_out": len(output) - len(kept)}


def _explain_task(session: Session, arguments: Arguments) -> Answer:
    found = looks.explanation(session, arguments["name"], arguments.get("at"))
    view = views.explanation_view(arguments["name"], found)
    if "runs" in view:  # a whole day is answered slot by slot, without them
        view |= {"runs": list(map(_without_output, view["runs"]))}
    return view


def _forecast_runs(session: Session, arguments: Arguments) -> Answer:
    outlook = looks.outlook(session, None, arguments.get("start"), arguments.get("days", 7))
    limit = arguments.get("limit", 50)
    slots = list(islice(outlook.slots, limit + 1))
    return {"slots": [views.upcoming_view(slot) for slot in slots[:limit]], "more": len(slots) > limit}


def _scheduler_status(session: Session, _: Arguments) -> Answer:
    return views.status_view(looks.status(session), session.zone())


def _change_task(session: Session, arguments: Arguments) -> Answer:
    if "config" in arguments and "handler" not in arguments:
        _check_configurable(session.task(arguments["name"]))
    return _save(session, arguments, acts.change)


def _check_configurable(task: ScheduledTask) -> None:
    """Raise RequestError if the configuration of a task can name secrets, programs or addresses."""
    if task.handler_type not in CONFIGURABLE:
        fix = "for a command give `command`; all else of it is for the person to set"
        raise RequestError(f"an assistant writes no `config` for a task of type {task.handler_type}", fix=fix)


def _pause_task(session: Session, arguments: Arguments) -> Answer:
    task = session.task(arguments["name"])
    if task.enabled == arguments["paused"]:
        task = (acts.pause if arguments["paused"] else acts.resume)(session, task.name)
    return views.task_view(looks.task_state(session, task), session.zone())


def _remove_task(session: Session, arguments: Arguments) -> Answer:
    return {"removed": arguments["name"], "has_history": acts.remove(session, arguments["name"])}


def _save(session: Session, arguments: Arguments, act: Callable[..., Saved]) -> Answer:
    """Add or change a task as an agent may; say what was, what is, and what needs approval."""
    saved = act(
        session, arguments["name"], _request(arguments), by_person=False, dry_run=arguments.get("dry_run", False)
    )
    zone, refused = session.zone(), saved.approval.refused

    answer: Answer = {
        "task": views.task_view(_state(session, saved.task), zone),
        "next": views.times_view(looks.next_slots(session, saved.task), zone) if saved.task.id else [],
        "warnings": saved.warnings,
        "needs_approval": None if refused is None else str(refused),
        "dry_run": arguments.get("dry_run", False),
    }
    if saved.before is not None:
        answer["before"] = views.task_view(_state(session, saved.before), zone)
    return answer


def _state(session: Session, task: ScheduledTask) -> looks.TaskState:
    """How a task stands; a dry run's new task is not stored and has no past."""
    if task.id is None:
        return looks.TaskState(task=task, last=None, set_aside=None)
    return looks.task_state(session, task)


def _request(arguments: Arguments) -> TaskRequest:
    """What an agent asks for, as a person would. Raises RequestError beyond its bounds."""
    every = arguments.get("every")
    if every is not None and parse_duration(every) < SHORTEST_INTERVAL:
        raise RequestError(
            f"an agent's task runs at most once a minute, not every {every}", fix="give `every` 1m or more"
        )

    policy = {name: str(arguments[name]) for name in ("timezone", "timeout", "retries", "grace") if name in arguments}
    taken = ("every", "cron", "at", "handler", "config", "deliver", "description")
    wanted = {name: arguments[name] for name in taken if name in arguments}
    return TaskRequest(**wanted, command=tuple(arguments.get("command", ())), policy=policy, by_agent=True)


_CALLS: Mapping[str, Callable[[Session, Arguments], Answer]] = {
    "list_tasks": _list_tasks,
    "list_runs": _list_runs,
    "read_run": _read_run,
    "explain_task": _explain_task,
    "forecast_runs": _forecast_runs,
    "scheduler_status": _scheduler_status,
    "change_task": _change_task,
    "pause_task": _pause_task,
    "remove_task": _remove_task,
}
_LOOKS = frozenset(tool.name for tool in TOOLS if tool.looks)
