"""`jarvis-trio explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from jarvis_trio.cli.commands.history import print_runs
from jarvis_trio.cli.describe import run_json, schedule_words, zone_of
from jarvis_trio.cli.moments import read_moment
from jarvis_trio.cli.output import Cell, Column, Fit, console, json_option, print_json, print_table, say
from jarvis_trio.cli.session import Session, name_argument, pass_looking_session
from jarvis_trio.errors import JarvisError
from jarvis_trio.insight.explain import Explanation, explain
from jarvis_trio.instants import local_text
from jarvis_trio.models import ScheduledTask
from jarvis_trio.process.lock import holder
from jarvis_trio.text import moment_words, printable

_FIELDS = (Column("FIELD"), Column("SCHEDULE SAYS", Fit.FOLD), Column("IT IS"), Column("MATCHES"))


@click.command("explain")
@name_argument
@click.option("--at", metavar="TIME", help="When, in the task's zone: 2027-03-14T02:30, tomorrow 9:00. [default: now]")
@json_option
@pass_looking_session
def explain_command(session: Session, /, name: str, at: str | None, as_json: bool) -> None:
    """Say why a task ran, did not run, or will run.

    \b
    Example:
      jarvis-trio explain backup
      jarvis-trio explain backup --at 2027-03-14T02:30
    """
    task, now = session.task(name), session.now()
    asked = None if at is None else read_moment(at, now, zone_of(task, session.zone()))
    found = explain(session.store, task, asked, now, daemon_runs=_daemon_runs(session))
    if as_json:
        print_json({"task": task.name, **_as_json(found)})
    else:
        _print(task, found, session, with_fields=at is not None)


def _daemon_runs(session: Session) -> bool | None:
    try:
        return holder(session.settings.lock_file) is not None
    except JarvisError:
        return None


def _as_json(found: Explanation) -> dict[str, Any]:
    zone = found.moment.zone
    firing = found.firing
    slot, before, after = (at and local_text(at, zone) for at in (firing.slot, firing.before, firing.after))
    return {
        "at": local_text(found.moment.at, zone),
        "answer": found.answer,
        "verdict": str(found.verdict),
        "notes": list(found.notes),
        "fires": slot is not None,
        "why": firing.why,
        "slot": slot,
        "before": before,
        "after": after,
        "fields": [
            {"field": check.field, "says": check.text, "is": check.value, "matches": check.matches}
            for check in firing.fields
        ],
        "runs": [run_json(run, zone) for run in found.runs],
    }


def _print(task: ScheduledTask, found: Explanation, session: Session, *, with_fields: bool) -> None:
    zone = found.moment.zone
    target = console()
    target.print(found.answer, style="bold")
    for remark in found.notes:
        target.print(remark)
    say("")
    target.print(f"Its schedule: {printable(schedule_words(task, session.zone()))}; local times are those of {zone}.")
    for label, at in (("The slot before: ", found.firing.before), ("The slot after:  ", found.firing.after)):
        if at is not None:
            ended = f" ({found.around[at].status})" if at in found.around else ""
            say(f"{label}{moment_words(at, zone)}{ended}")
    if with_fields and found.firing.fields:
        say("")
        say(f"Field by field, {found.moment.words()}:")
        print_table(_FIELDS, _field_rows(found))
    if found.runs:
        say("")
        print_runs(list(found.runs), session.now(), zone)


def _field_rows(found: Explanation) -> Iterator[list[Cell]]:
    for check in found.firing.fields:
        mark = Cell("yes", "green") if check.matches else Cell("no", "bold red")
        yield [Cell(check.field), Cell(check.text), Cell(check.value), mark]
