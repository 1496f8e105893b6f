"""`jarvis-trio edit`."""

from __future__ import annotations

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
from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import name_argument
from jarvis_trio.desk import acts, looks, views
from jarvis_trio.desk.acts import Saved
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, difference


@click.command(cls=DefinitionCommand)
@name_argument
@definition_options
@json_option
@click.pass_obj
def edit(session: Session, /, name: str, as_json: bool, **options: Any) -> None:
    """Change a task.

    What no option names stays as it is; `none` takes back what an option said.
    A new schedule counts from now on. A task that was set aside comes back.

    \b
    Example:
      jarvis-trio edit backup --cron "0 3 * * *"
      jarvis-trio edit backup --timeout 2h --grace none
    """
    saved = acts.change(session, name, task_request(options), by_person=person_is_there())
    tell_approval(saved.approval, as_json=as_json)
    note_warnings(saved.warnings)
    if as_json:
        print_json(views.detail_view(looks.task_detail(session, name), session.zone()))
        return
    _say_changes(session, saved)
    say_outlook(session, saved.task)


def _say_changes(session: Session, saved: Saved) -> None:
    name, zone = saved.task.name, session.zone()
    say(f"Changed {name}:" if saved.changed else f"Nothing to change: {name} already has these values.")
    old = {} if saved.before is None else definition_words(saved.before, zone)
    for line in difference(old, definition_words(saved.task, zone)):
        say(f"  {line}")
