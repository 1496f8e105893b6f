"""`jarvis-trio show`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo

import click

from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import json_option, print_json, say, say_text
from jarvis_trio.cli.runs import print_runs, took
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.delivery.message import readable
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.looks import TaskDetail
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, zone_of
from jarvis_trio.models import Run, aside_words
from jarvis_trio.notation.text import moment_words, relative


@click.command()
@click.argument("name", metavar="NAME|RUN", shell_complete=complete_task)
@json_option
@pass_looking_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show a task, or one run with its result.

    RUN is the number that `history` lists.

    \b
    Example:
      jarvis-trio show backup
      jarvis-trio show 1234
    """
    meant = looks.run_or_task(session, name)
    if isinstance(meant, Run):
        _show_run(meant, session, as_json)
    else:
        _show_task(looks.task_detail(session, meant.name), session, as_json)


def _show_task(detail: TaskDetail, session: Session, as_json: bool) -> None:
    now, zone = session.now(), session.zone()
    if as_json:
        print_json(views.detail_view(detail, zone))
        return
    task, set_aside = detail.state.task, detail.state.set_aside
    state = "" if task.enabled else " (paused)"
    say(task.name + (state if set_aside is None else f" ({aside_words(set_aside)})"))
    default = looks.default_time_limit(session, task)
    _say_pairs({**definition_words(task, zone), **({"timeout": f"{default} (the default)"} if default else {})})
    say_outlook(session, task)
    if detail.runs:
        say("Last runs:")
        print_runs(detail.runs, now, zone_of(task, zone))


def _show_run(run: Run, session: Session, as_json: bool) -> None:
    now, zone = session.now(), session.zone()
    if as_json:
        print_json(views.run_view(run, zone))
        return
    say(f"Run {run.id} of {run.task_name}: {run.status}")
    _say_pairs(dict(_run_words(run, now, zone)))
    if session.outputs.is_kept(run.id):
        say(f"  All of its output: jarvis-trio output {run.id}")
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
