"""`jarvis-trio edit`."""

from __future__ import annotations

import sys
from typing import Any

import click

from jarvis_trio.cli.definition import (
    DefinitionCommand,
    definition_options,
    note_warnings,
    person_is_there,
    task_request,
    tell_approval,
)
from jarvis_trio.cli.editor import edit_in_editor
from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import name_argument
from jarvis_trio.desk import acts, looks, views
from jarvis_trio.desk.acts import Saved
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, difference


@click.command(cls=DefinitionCommand)
@name_argument
@click.option("--name", "new_name", metavar="NAME", help="Rename it; its history keeps to it.")
@definition_options
@json_option
@click.pass_obj
def edit(session: Session, /, name: str, new_name: str | None, as_json: bool, **options: Any) -> None:
    """Change a task.

    What no option names stays as it is; `none` takes back what an option said.
    A new schedule counts from now on. A task that was set aside comes back.
    Without an option it opens the task in $EDITOR, as `export` writes it.

    \b
    Example:
      jarvis-trio edit backup --cron "0 3 * * *"
      jarvis-trio edit backup --timeout 2h --grace none
      jarvis-trio edit backup
    """
    request = task_request(options)._replace(name=new_name)
    if request.is_empty() and person_is_there() and sys.stdout.isatty() and not as_json:
        edit_in_editor(session, session.task(name))
        return
    saved = acts.change(session, name, request, by_person=person_is_there())
    tell_approval(saved.approval, as_json=as_json)
    note_warnings(saved.warnings)
    if as_json:
        print_json(views.detail_view(looks.task_detail(session, saved.task.name), session.zone()))
        return
    _say_changes(session, saved)
    say_outlook(session, saved.task)


def _say_changes(session: Session, saved: Saved) -> None:
    name, zone = saved.task.name, session.zone()
    say(f"Changed {name}:" if saved.changed else f"Nothing to change: {name} already has these values.")
    before = saved.before or saved.task
    old, new = definition_words(before, zone), definition_words(saved.task, zone)
    for line in difference({"name": before.name, **old}, {"name": saved.task.name, **new}):
        say(f"  {line}")
