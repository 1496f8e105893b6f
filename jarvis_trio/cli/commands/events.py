"""`jarvis-trio events`: what came in by webhook."""

from __future__ import annotations

from datetime import tzinfo
from functools import partial

import click

from jarvis_trio.cli.output import (
    HIGHEST,
    Amount,
    Cell,
    Column,
    Fit,
    json_option,
    print_json,
    print_list,
    say,
    say_text,
    stamp,
)
from jarvis_trio.cli.session import pass_looking_session
from jarvis_trio.delivery.message import readable
from jarvis_trio.desk import assistant
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.store.assistant import EventRow

_SCREEN = 20
_COLUMNS = (Column("EVENT"), Column("SOURCE", Fit.FOLD), Column("TYPE", Fit.FOLD), Column("STATUS"), Column("CAME"))
_STYLES = {assistant.PENDING: "cyan", assistant.PROCESSED: "green", assistant.FAILED: "bold red"}
_number = click.argument("number", metavar="EVENT", type=click.IntRange(1, HIGHEST))
_numbers = click.argument("numbers", metavar="EVENT...", nargs=-1, required=True, type=click.IntRange(1, HIGHEST))


@click.group()
def events() -> None:
    """See and change what came in by webhook.

    The task `webhook_poll` makes an event of each JSON file that is dropped into the
    inbox folder. An event is pending until a program, or you, has dealt with it.

    \b
    Example:
      jarvis-trio events list --status pending
      jarvis-trio events done 12
    """


@events.command("list")
@click.option("--status", type=click.Choice(assistant.EVENT_STATUSES), help="Only events with this status.")
@click.option("--limit", metavar="N", type=Amount(min=1), help=f"At most N events; by default {_SCREEN}.")
@json_option
@pass_looking_session
def list_events(session: Session, /, status: str | None, limit: int | None, as_json: bool) -> None:
    """List the events, the newest first.

    \b
    Example:
      jarvis-trio events list --status pending
    """
    found = assistant.events(session, status, limit or (None if as_json else _SCREEN))
    print_list(
        found,
        view=assistant.event_view,
        columns=_COLUMNS,
        row=partial(_row, zone=session.zone()),
        nothing="There are no such events.",
        as_json=as_json,
    )


@events.command()
@_number
@json_option
@pass_looking_session
def show(session: Session, number: int, as_json: bool) -> None:
    """Show one event with its payload.

    \b
    Example:
      jarvis-trio events show 12
    """
    _tell(assistant.event(session, number), session, as_json=as_json)


@events.command()
@click.argument("source")
@click.argument("kind", metavar="TYPE")
@click.option("--payload", metavar="JSON", default="{}", help="Its content, a JSON object.")
@json_option
@click.pass_obj
def add(session: Session, /, source: str, kind: str, payload: str, as_json: bool) -> None:
    """Add a pending event, as a file in the inbox would.

    \b
    Example:
      jarvis-trio events add github push --payload '{"ref": "main"}'
    """
    row = assistant.add_event(session, source, kind, json_object(payload, "--payload", TaskError))
    _tell(row, session, as_json=as_json)


@events.command()
@_numbers
@click.option("--failed", is_flag=True, help="Note that it could not be dealt with.")
@json_option
@click.pass_obj
def done(session: Session, /, numbers: tuple[int, ...], failed: bool, as_json: bool) -> None:
    """Note that events were dealt with.

    \b
    Example:
      jarvis-trio events done 12 13
    """
    status = assistant.FAILED if failed else assistant.PROCESSED
    rows = assistant.set_events(session, numbers, status)
    if as_json:
        print_json([assistant.event_view(row) for row in rows])
        return
    for row in rows:
        say(f"Event {row.id} is {row.status}.")


@events.command()
@_numbers
@json_option
@click.pass_obj
def remove(session: Session, /, numbers: tuple[int, ...], as_json: bool) -> None:
    """Remove events.

    \b
    Example:
      jarvis-trio events remove 12
    """
    assistant.remove_events(session, numbers)
    if as_json:
        print_json([{"removed": number} for number in numbers])
        return
    for number in numbers:
        say(f"Removed event {number}.")


def _tell(row: EventRow, session: Session, *, as_json: bool) -> None:
    if as_json:
        print_json(assistant.event_view(row))
        return
    say(f"Event {row.id}: {row.event_type} from {row.source}, {row.status}")
    zone = session.zone()
    dealt_with = f", dealt with: {stamp(row.processed_at, zone)}" if row.processed_at else ""
    say(f"  came: {stamp(row.received_at, zone)}{dealt_with}")
    say_text(readable(row.payload))


def _row(row: EventRow, zone: tzinfo) -> list[Cell]:
    return [
        Cell(str(row.id), "dim"),
        Cell(row.source, "bold"),
        Cell(row.event_type),
        Cell(row.status, _STYLES.get(row.status, "")),
        Cell(stamp(row.received_at, zone)),
    ]
