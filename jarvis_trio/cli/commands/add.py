"""`jarvis-trio add`."""

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
from jarvis_trio.desk import acts, looks, views
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words


@click.command(cls=DefinitionCommand)
@click.argument("name")
@definition_options
@json_option
@click.pass_obj
def add(session: Session, /, name: str, as_json: bool, **options: Any) -> None:
    """Add a task.

    It says how it understood the schedule, and the next three times. If you add a
    task at a terminal, that approves exactly its command; elsewhere use
    `allow --task`.
    Write weekdays of a cron expression as names, since programs differ on which
    one is 0.

    \b
    Example:
      jarvis-trio add backup --cron "30 2 * * *" --timeout 1h -- backup --all
      jarvis-trio add standup --cron "0 9 * * MON-FRI" --timezone Europe/Rome \\
        -- say "Hello"
      jarvis-trio add renew --at "tomorrow 9" --deliver notification -- ./renew.sh
      jarvis-trio add report --every 1h --cwd . --secret API_KEY \\
        -- .venv/bin/python report.py
      jarvis-trio add count --every 1d --shell "ls | wc -l"
    """
    saved = acts.add(session, name, task_request(options), by_person=person_is_there())
    tell_approval(saved.approval, as_json=as_json)
    note_warnings(saved.warnings)
    if as_json:
        print_json(views.detail_view(looks.task_detail(session, name), session.zone()))
        return
    say(f"Added {name}: {schedule_words(saved.task, session.zone())}")
    if (limit := looks.default_time_limit(session, saved.task)) is not None:
        say(f"Time limit: {limit} (the default; --timeout sets another, or none)")
    say_outlook(session, saved.task)
