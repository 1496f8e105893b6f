"""`jarvis-trio edit`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from jarvis_trio.cli.definition import (
    Request,
    approve_command,
    changes,
    check_delivery,
    check_handler,
    definition_options,
    first_slot,
    note_warnings,
    same_schedule,
)
from jarvis_trio.cli.describe import definition_words, outlook_lines, task_json
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import Session, name_argument
from jarvis_trio.instants import local_text
from jarvis_trio.models import ScheduledTask, TroubleKind, require_id

_SCHEDULE = {"schedule_type", "schedule_config", "policy"}
_HANDLER = {"handler_type", "handler_config"}
_DELIVERY = {"delivery_channel", "delivery_config"}


@click.command()
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
    request = Request(**options)
    if request.is_empty():
        raise click.UsageError("nothing to change; give an option")
    before = session.task(name)
    columns = _columns(request, before, session)
    after = replace(before, **columns)
    if columns:
        with session.store.transaction():
            session.store.update_scheduled_task(require_id(before), **columns)
            session.store.end_troubles(require_id(before), [TroubleKind.SET_ASIDE])
        session.changed()
        note_warnings(after, session)
    if as_json:
        print_json(task_json(session.task(name), session.store.last_runs().get(require_id(before)), set_aside=None))
        return
    zone = session.zone()
    say(f"Changed {name}:" if columns else f"Nothing changed: {name} is so already.")
    for line in difference(definition_words(before, zone), definition_words(after, zone)):
        say(f"  {line}")
    for line in outlook_lines(session.store, after, session.now()):
        say(line)


def difference(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """The headings whose texts differ, with both."""
    for heading in {**before, **after}:
        old, new = before.get(heading, "none"), after.get(heading, "none")
        if old != new:
            yield f"{heading}: {old} -> {new}"


def _columns(request: Request, before: ScheduledTask, session: Session) -> dict[str, Any]:
    """All that is to be changed, checked."""
    now, zone = session.now(), session.zone()
    columns = changes(request, before, now, zone)
    after = replace(before, **columns)
    if columns.keys() & _HANDLER:
        check_handler(after, session)
        approve_command(after, session)
    if columns.keys() & _DELIVERY:
        check_delivery(after, session)
    set_aside = require_id(before) in session.store.reasons_set_aside()
    if set_aside or (columns.keys() & _SCHEDULE and not same_schedule(before, after, zone)):
        columns["next_run_at"] = local_text(first_slot(after, now, zone), zone)
    if set_aside:
        columns["enabled"] = True
    return columns
