"""`jarvis-trio stop`."""

from __future__ import annotations

import time

import click

from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import name_argument
from jarvis_trio.desk import errands, looks, views
from jarvis_trio.desk.errands import Stopping
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.models import RunStatus

_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 2.0
"""How long whoever runs the task has to answer, before its processes are ended from here."""

_END_SECONDS = 15.0
"""Longer than SIGTERM, SIGKILL and the looks between them take together."""


@click.command()
@name_argument
@json_option
@click.pass_obj
def stop(session: Session, name: str, as_json: bool) -> None:
    """End what runs of a task.

    A command and all that it started get SIGTERM, and SIGKILL five seconds later. A
    Python handler is told, and ends when it looks. The run is `interrupted` in the
    history, and not tried again; the task keeps its schedule.

    \b
    Example:
      jarvis-trio stop backup
    """
    stopping = errands.ask_stop(session, name)
    if not _is_answered(session, stopping):
        errands.stop_from_here(session, stopping)
    if not _has_ended(session, stopping):
        says = f"run {stopping.run.id} of {name!r} was told to stop and has not ended yet"
        raise TaskError(says, fix=f"see: jarvis-trio show {stopping.run.id}")

    run = looks.run(session, stopping.run.id)
    if as_json:
        print_json(views.run_view(run, session.zone()))
    elif run.status is RunStatus.INTERRUPTED:
        say(f"Stopped run {run.id} of {run.task_name}.")
    else:
        say(f"Run {run.id} of {run.task_name} ended by itself: {run.status}.")


def _is_answered(session: Session, stopping: Stopping) -> bool:
    deadline = time.monotonic() + (_ANSWER_SECONDS if session.peers.is_alive(stopping.run.owner) else 0)
    while time.monotonic() < deadline:
        if errands.is_taken_on(session, stopping):
            return True
        time.sleep(_LOOK_SECONDS)
    return False


def _has_ended(session: Session, stopping: Stopping) -> bool:
    deadline = time.monotonic() + _END_SECONDS
    while not errands.is_over(session, stopping.run.id):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
