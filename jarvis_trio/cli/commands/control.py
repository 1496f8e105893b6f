"""`jarvis-trio pause`, `resume` and `remove`."""

from __future__ import annotations

import sys

import click

from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import names_argument
from jarvis_trio.desk import acts, looks, views
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.errors import TaskError
from jarvis_trio.foreground.telling import note
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import counted, with_name


@click.command()
@names_argument
@json_option
@click.pass_obj
def pause(session: Session, /, tasks: list[ScheduledTask], as_json: bool) -> None:
    """Stop scheduling tasks, until they are resumed.

    A run that is under way goes on to its end.

    \b
    Example:
      jarvis-trio pause backup
      jarvis-trio pause --all
    """
    paused = [acts.pause(session, task.name) for task in tasks]
    if as_json:
        _print_states(session, paused)
        return
    for task in paused:
        say(f"Paused {task.name}. {with_name('To schedule it again: jarvis-trio resume {}', task.name)}")


@click.command()
@names_argument
@json_option
@click.pass_obj
def resume(session: Session, /, tasks: list[ScheduledTask], as_json: bool) -> None:
    """Schedule paused tasks again.

    The slots that passed meanwhile are gone; an interval keeps its old rhythm. A
    task that runs once keeps its time, and runs late if that time is past.

    \b
    Example:
      jarvis-trio resume backup
      jarvis-trio resume --all
    """
    if len(tasks) == 1:
        resumed = [acts.resume(session, tasks[0].name)]
    else:
        resumed = _resume_all(session, [task for task in tasks if not task.enabled])
    if as_json:
        _print_states(session, resumed)
        return
    for task in resumed:
        say(f"Resumed {task.name}.")
        say_outlook(session, task)


@click.command()
@names_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def remove(session: Session, /, tasks: list[ScheduledTask], yes: bool, as_json: bool) -> None:
    """Remove tasks; their history stays.

    \b
    Example:
      jarvis-trio remove backup
      jarvis-trio remove backup cleanup --yes
    """
    if not yes:
        _ask(session, tasks)
    has_run = {task.name: acts.remove(session, task.name) for task in tasks}
    if as_json:
        print_json([{"removed": name, "has_history": history} for name, history in has_run.items()])
        return
    for name, history in has_run.items():
        rest = with_name("Its history stays: jarvis-trio history {}", name) if history else "It has no history."
        say(f"Removed {name}. {rest}")


def _resume_all(session: Session, tasks: list[ScheduledTask]) -> list[ScheduledTask]:
    """Resume what can be resumed, and note what cannot."""
    resumed = []
    for task in tasks:
        try:
            resumed.append(acts.resume(session, task.name))
        except TaskError as error:
            note(str(error))
    return resumed


def _ask(session: Session, tasks: list[ScheduledTask]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to be asked; give --yes to remove {_them(tasks)}")
    for task in tasks:
        say(f"{task.name}: {schedule_words(task, session.zone())}")
    if not click.confirm(f"Remove {_them(tasks)}?"):
        raise TaskError("nothing was removed")


def _them(tasks: list[ScheduledTask]) -> str:
    return "it" if len(tasks) == 1 else f"these {counted(len(tasks), 'task')}"


def _print_states(session: Session, tasks: list[ScheduledTask]) -> None:
    states = [views.task_view(looks.task_state(session, task), session.zone()) for task in tasks]
    print_json(states[0] if len(states) == 1 else states)
