"""`jarvis-trio run-now`: a run that a person asks for, by the daemon if one runs."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from jarvis_trio.cli.application import handler_options
from jarvis_trio.cli.output import json_option, print_json, print_live, say, say_text
from jarvis_trio.cli.runs import took
from jarvis_trio.cli.session import names_argument
from jarvis_trio.cli.signals import finishing_what_runs
from jarvis_trio.delivery.message import readable
from jarvis_trio.desk import errands, looks, views
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.foreground.telling import NOTES
from jarvis_trio.models import Run, RunStatus, ScheduledTask
from jarvis_trio.notation.text import printable, with_name

_LOOK_SECONDS = 0.05
_START_SECONDS = 10.0
"""A daemon starts what it is asked for at once; one that wraps another application never does."""


@click.command("run-now")
@names_argument
@click.option("--here", is_flag=True, help="Run it in this process, even if a daemon runs.")
@click.option("--verbose", "-v", is_flag=True, help="Show where in a Python handler an error came from; with --here.")
@handler_options
@json_option
@click.pass_obj
def run_now(session: Session, /, tasks: list[ScheduledTask], here: bool, verbose: bool, as_json: bool) -> None:
    """Run tasks now, show what they write, and wait.

    A running daemon does it, with its own environment; without one, or with --here,
    this process does. No slot moves. The exit code is 1 if a run failed. Ctrl-C asks
    whether to stop the run or to leave it to the daemon.

    \b
    Example:
      jarvis-trio run-now backup
      jarvis-trio run-now backup --here --verbose
    """
    NOTES.tracebacks = verbose
    runs = [_run(session, task, here=here or session.source is not None, as_json=as_json) for task in tasks]
    if as_json:
        shown: list[dict[str, Any]] = [views.outcome_view(task, run) for task, run in zip(tasks, runs, strict=True)]
        print_json(shown[0] if len(shown) == 1 else shown)
    raise click.exceptions.Exit(int(any(run.status is not RunStatus.EXECUTED for run in runs)))


def _run(session: Session, task: ScheduledTask, *, here: bool, as_json: bool) -> Run:
    request = None if here else errands.ask_run(session, task.name)
    run_id = None if request is None else _await_start(session, task, request)
    if run_id is None:
        run_id, wrote = _run_here(session, task, silent=as_json)
        told = True  # a failure by the log of this process, which is shown
    else:
        wrote, told = _watch(session, task, run_id, silent=as_json), False

    run = looks.run(session, run_id)
    if not as_json and not wrote and run.result is not None:
        say_text(readable(run.result))
    if not as_json and (not told or run.status in (RunStatus.EXECUTED, RunStatus.INTERRUPTED)):
        say(_end_words(run))
    return run


def _await_start(session: Session, task: ScheduledTask, request: int) -> int | None:
    """The number of the run; None if the daemon ended before it took the request on."""
    deadline = time.monotonic() + _START_SECONDS
    try:
        while (run_id := errands.started(session, request)) is None:
            time.sleep(_LOOK_SECONDS)
            if session.daemon() is None and errands.withdraw(session, request):
                return None
            if time.monotonic() > deadline and errands.withdraw(session, request):
                says = f"the daemon has not started {task.name!r} within {_START_SECONDS:.0f}s"
                raise TaskError(says, fix="to run it in this process: give --here")
    except KeyboardInterrupt:
        if errands.withdraw(session, request):
            raise TaskError("nothing was started") from None
        run_id = errands.started(session, request)
        if run_id is not None:
            _stop_or_leave(session, task, run_id)
    return run_id


def _watch(session: Session, task: ScheduledTask, run_id: int, *, silent: bool) -> bool:
    """Show what a run of the daemon writes, until it is over. Returns whether it wrote anything."""
    try:
        return _show(session, run_id, silent=silent)
    except KeyboardInterrupt:
        _stop_or_leave(session, task, run_id)
        return _show(session, run_id, silent=True)


def _stop_or_leave(session: Session, task: ScheduledTask, run_id: int) -> None:
    """After Ctrl-C: have a run of the daemon stopped, if a person says so.

    Raises TaskError if it goes on.
    """
    click.echo(err=True)
    if sys.stdin.isatty() and click.confirm(f"{printable(task.name)} goes on in the daemon. Stop it?", err=True):
        errands.ask_stop(session, task.name)
        return
    says = f"run {run_id} goes on in the daemon"
    raise TaskError(says, fix=with_name("to end it: jarvis-trio stop {}", task.name)) from None


def _run_here(session: Session, task: ScheduledTask, *, silent: bool) -> tuple[int, bool]:
    """Run a task in this process. Returns the number of the run, and whether it wrote anything.

    A signal lets the run finish, and a second one stops it (law 1); a third one leaves it alone.
    """
    engine = session.engine
    with finishing_what_runs(engine):  # before the run begins, so that no signal comes too early
        begun, wrote = errands.run_here(session, task.name), False
        try:
            wrote = _show(session, begun.run_id, silent=silent, begun=begun)
            begun.wait()
        except KeyboardInterrupt:
            engine.stop(begun.run_id, session.asked_by)
            begun.wait()
    return begun.run_id, wrote


def _show(session: Session, run_id: int, *, silent: bool, begun: errands.RunHere | None = None) -> bool:
    pieces = errands.output(session, run_id, lambda: time.sleep(_LOOK_SECONDS), begun)
    return any([bool(piece) for piece in pieces]) if silent else print_live(pieces)


def _end_words(run: Run) -> str:
    reason = f": {run.reason}" if run.reason else ""
    return f"{run.task_name}: {run.status} in {took(run, run.started_at)}, run {run.id}{reason}"
