"""`jarvis-trio pause`, `resume` and `remove`."""

from __future__ import annotations

import sys

import click

from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import say
from jarvis_trio.cli.session import name_argument
from jarvis_trio.desk import acts
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.errors import TaskError


@click.command()
@name_argument
@click.pass_obj
def pause(session: Session, name: str) -> None:
    """Stop scheduling a task, until it is resumed.

    A run of it that is under way goes on to its end.

    \b
    Example:
      jarvis-trio pause backup
    """
    acts.pause(session, name)
    say(f"Paused {name}. To schedule it again: jarvis-trio resume {name}")


@click.command()
@name_argument
@click.pass_obj
def resume(session: Session, name: str) -> None:
    """Schedule a paused task again.

    The slots that passed meanwhile are gone; an interval keeps its old rhythm. A
    task that runs once keeps its time, and runs late if that time is past.

    \b
    Example:
      jarvis-trio resume backup
    """
    task = acts.resume(session, name)
    say(f"Resumed {name}.")
    say_outlook(session, task)


@click.command()
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(session: Session, name: str, yes: bool) -> None:
    """Remove a task; its history stays.

    \b
    Example:
      jarvis-trio remove backup
      jarvis-trio remove backup --yes
    """
    task = session.task(name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is there to be asked; give --yes to remove it")
        say(f"{name}: {schedule_words(task, session.zone())}")
        if not click.confirm("Remove it?"):
            raise TaskError("nothing was removed")
    has_run = acts.remove(session, name)
    say(f"Removed {name}. " + (f"Its history stays: jarvis-trio history {name}" if has_run else "It has no history."))
