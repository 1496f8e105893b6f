"""`jarvis-trio remind`."""

from __future__ import annotations

import click

from jarvis_trio.cli.definition import note_warnings
from jarvis_trio.cli.outlook import say_outlook
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import completing
from jarvis_trio.delivery import CHANNEL_NAMES
from jarvis_trio.desk import acts, looks, views
from jarvis_trio.desk.requests import TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.notation.jsontext import json_object


@click.command()
@click.argument("text")
@click.option("--at", metavar="TIME", help='When: 9am, "tomorrow 9", "friday 18:30", "in 20m".')
@click.option("--every", metavar="DURATION", help="Again and again at this interval.")
@click.option("--cron", metavar="EXPRESSION", help='Again and again: "0 9 * * MON".')
@click.option("--name", metavar="NAME", help="The task's name; by default the text.")
@click.option(
    "--deliver",
    metavar="CHANNEL",
    shell_complete=completing(lambda _: CHANNEL_NAMES),
    help="Where it is told; by default where alerts are, or else a notification.",
)
@click.option("--deliver-config", metavar="JSON", help="The channel's configuration, a JSON object.")
@json_option
@click.pass_obj
def remind(
    session: Session,
    /,
    text: str,
    at: str | None,
    every: str | None,
    cron: str | None,
    name: str | None,
    deliver: str | None,
    deliver_config: str | None,
    as_json: bool,
) -> None:
    """Tell you a text at a time.

    A reminder is a task: `list`, `edit` and `remove` know it.

    \b
    Example:
      jarvis-trio remind "Call Ada" --at "tomorrow 9"
      jarvis-trio remind "Stand up" --every 50m
    """
    config = None if deliver_config is None else json_object(deliver_config, "--deliver-config", TaskError)
    request = TaskRequest(name=name, at=at, every=every, cron=cron, deliver=deliver, deliver_config=config)
    saved = acts.remind(session, text, request)
    note_warnings(saved.warnings)
    if as_json:
        print_json(views.detail_view(looks.task_detail(session, saved.task.name), session.zone()))
        return
    say(f"I will remind you by {saved.task.delivery_channel}: {text}")
    say_outlook(session, saved.task)
