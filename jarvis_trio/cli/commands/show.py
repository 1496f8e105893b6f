"""`jarvis-trio show`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

import click

from jarvis_trio.cli.commands.history import print_runs, took
from jarvis_trio.cli.describe import definition_words, next_slots, outlook_lines, run_json, task_json, zone_of
from jarvis_trio.cli.output import json_option, print_json, relative, say, say_text
from jarvis_trio.cli.session import Session, complete_task, pass_looking_session
from jarvis_trio.delivery.message import readable
from jarvis_trio.errors import UnknownTaskError
from jarvis_trio.instants import local_text
from jarvis_trio.models import Run, ScheduledTask, require_id
from jarvis_trio.text import moment_words

_LAST_RUNS = 5


@click.command()
@click.argument("name", metavar="NAME|RUN", shell_complete=complete_task)
@json_option
@pass_looking_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show a task, or one run with all its output.

    RUN is the number that `history` lists.

    \b
    Example:
      jarvis-trio show backup
      jarvis-trio show 1234
    """
    task = session.store.get_scheduled_task_by_name(name)
    if task is None and name.isdecimal() and len(name) < 19:
        _show_run(_run(int(name), session), session, as_json)
    else:
        _show_task(task or session.task(name), session, as_json)


def _show_task(task: ScheduledTask, session: Session, as_json: bool) -> None:
    now, zone = session.now(), session.zone()
    runs = session.store.list_runs(task=task.name, limit=_LAST_RUNS)
    set_aside = session.store.reasons_set_aside().get(require_id(task))
    if as_json:
        times = [local_text(slot.at, zone) for slot in next_slots(session.store, task, now)]
        shown = task_json(task, runs[0] if runs else None, set_aside)
        print_json(shown | {"next": times, "runs": [run_json(run, zone) for run in runs]})
        return
    say(task.name + ("" if task.enabled else " (paused)" if set_aside is None else f" (set aside: {set_aside})"))
    _say_pairs(definition_words(task, zone))
    for line in outlook_lines(session.store, task, now):
        say(line)
    if runs:
        say("Last runs:")
        print_runs(runs, now, zone_of(task, zone))


def _run(number: int, session: Session) -> Run:
    run = session.store.get_run(number)
    if run is None:
        raise UnknownTaskError(f"no run has the number {number}, and no task that name; see: jarvis-trio history")
    return run


def _show_run(run: Run, session: Session, as_json: bool) -> None:
    now, zone = session.now(), session.zone()
    if as_json:
        print_json(run_json(run, zone))
        return
    say(f"Run {run.id} of {run.task_name}: {run.status}")
    _say_pairs(dict(_run_words(run, now, zone)))
    for heading, text in (("Result", run.result), ("Delivery", run.delivery)):
        if text is not None:
            say(f"{heading}:")
            say_text(readable(text))


def _run_words(run: Run, now: datetime, zone: tzinfo) -> Iterator[tuple[str, str]]:
    yield "scheduled for", moment_words(run.scheduled_for, zone)
    yield "started", f"{moment_words(run.started_at, zone)} ({relative(run.started_at, now)})"
    yield "took", took(run, now)
    yield "attempt", f"{run.attempt}, by {'its schedule' if run.trigger == 'schedule' else 'run-now'}"
    if run.collapsed:
        yield "stands for", f"itself and {run.collapsed} earlier slots that had passed"
    if run.reason:
        yield "reason", run.reason


def _say_pairs(pairs: dict[str, str]) -> None:
    width = max(map(len, pairs), default=0) + 1
    for heading, text in pairs.items():
        say(f"  {heading + ':':<{width}} {text}")
