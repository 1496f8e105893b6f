"""`jarvis-trio deliver-test`."""

from __future__ import annotations

import json

import click

from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import completing
from jarvis_trio.delivery import CHANNEL_NAMES, Message
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import DeliveryError
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.text import joined

_HELP = f"""Send a sample to a channel, and say where it went.

The channels are {joined(CHANNEL_NAMES, most=len(CHANNEL_NAMES))}. Secrets come from this
shell's environment or from secrets.env in the data folder; the daemon may have
another environment.

\b
Example:
  jarvis-trio deliver-test notification
  jarvis-trio deliver-test email --deliver-config '{{"to": "me@example.org"}}'
"""


@click.command("deliver-test", help=_HELP)
@click.argument("channel", shell_complete=completing(lambda _: CHANNEL_NAMES))
@click.option("--deliver-config", metavar="JSON", help="The channel's configuration, as a task would have it.")
@json_option
@click.pass_obj
def deliver_test(session: Session, channel: str, deliver_config: str | None, as_json: bool) -> None:
    config = json_object(deliver_config, "--deliver-config", DeliveryError)
    result = json.dumps({"message": "a sample of what a task's result looks like"})
    sent_at = local_text(session.now().replace(microsecond=0), session.zone())
    message = Message("deliver-test", "executed", result, sent_at)
    to = session.channels.send(channel, config, message)
    print_json({"channel": channel, "to": to}) if as_json else say(f"{channel}: {to}")
