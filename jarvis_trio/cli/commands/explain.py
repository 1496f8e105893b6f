"""`jarvis-trio explain`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from jarvis_trio.cli.output import Cell, Column, Fit, json_option, print_json, print_table, say, say_wrapped
from jarvis_trio.cli.runs import print_runs
from jarvis_trio.cli.session import name_argument, pass_looking_session
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import schedule_words
from jarvis_trio.insight.days import DayExplanation
from jarvis_trio.insight.explain import Explanation
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.text import counted, moment_words, printable

_FIELDS = (Column("FIELD"), Column("SCHEDULE SAYS", Fit.FOLD), Column("IT IS"), Column("MATCHES"))


@click.command("explain")
@name_argument
@click.option("--at", metavar="TIME", help="When, in the task's zone: 2027-03-14T02:30, tomorrow 9:00. [default: now]")
@json_option
@pass_looking_session
def explain_command(session: Session, /, name: str, at: str | None, as_json: bool) -> None:
    """Say why a task ran, did not run, or will run.

    A day without a time is answered slot by slot.

    \b
    Example:
      jarvis-trio explain backup
      jarvis-trio explain backup --at yesterday
      jarvis-trio explain backup --at 2027-03-14T02:30
    """
    found = looks.explanation(session, name, at)
    if as_json:
        print_json(views.explanation_view(name, found))
    elif isinstance(found, DayExplanation):
        _print_day(session.task(name), found, session)
    else:
        _print(session.task(name), found, session, with_fields=at is not None)


def _print(task: ScheduledTask, found: Explanation, session: Session, *, with_fields: bool) -> None:
    zone = found.moment.zone
    say_wrapped(found.answer, "bold")
    for remark in found.notes:
        say_wrapped(remark)
    say("")
    say_wrapped(f"Its schedule: {printable(schedule_words(task, session.zone()))}; local times are those of {zone}.")
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


def _print_day(task: ScheduledTask, found: DayExplanation, session: Session) -> None:
    say_wrapped(found.answer, "bold")
    for slot in found.slots:
        say_wrapped(f"- It {slot.sentence}.")
    if found.left_out:
        say(f"- And {counted(found.left_out, 'slot')} more.")
    for remark in found.notes:
        say_wrapped(remark)
    say("")
    schedule = printable(schedule_words(task, session.zone()))
    say_wrapped(f"Its schedule: {schedule}; local times are those of {found.zone}.")


def _field_rows(found: Explanation) -> Iterator[list[Cell]]:
    for check in found.firing.fields:
        mark = Cell("yes", "green") if check.matches else Cell("no", "bold red")
        yield [Cell(check.field), Cell(check.text), Cell(check.value), mark]
