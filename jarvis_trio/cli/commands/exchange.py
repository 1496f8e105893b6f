"""`jarvis-trio export` and `import`: tasks as a file, to be kept in git."""

from __future__ import annotations

import json
from typing import TextIO

import click

from jarvis_trio.cli.definition import person_is_there, tell_approval
from jarvis_trio.cli.output import note, say
from jarvis_trio.cli.session import pass_looking_session
from jarvis_trio.desk import exchange
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, difference
from jarvis_trio.errors import TaskError
from jarvis_trio.text import UNPRINTABLE


@click.command()
@click.option("--format", "kind", type=click.Choice(["toml", "json"]), default="toml", help="TOML by default.")
@pass_looking_session
def export(session: Session, kind: str) -> None:
    """Print the tasks as TOML or JSON, to be kept in a file.

    It says what is to run, not what ran. A task whose only time is past is left
    out, and noted on stderr.

    \b
    Example:
      jarvis-trio export > tasks.toml
    """
    exported = exchange.export_tasks(session)
    if kind == "json":
        click.echo(json.dumps(exported.document, indent=2))
    else:
        import tomli_w  # noqa: PLC0415  # only this writes TOML

        text = tomli_w.dumps(exported.document, multiline_strings=False)
        click.echo("\n".join(map(_in_ascii_controls, text.split("\n"))), nl=False)
    _note_left_out(exported.left_out)


@click.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.pass_obj
def import_tasks(session: Session, file: TextIO, yes: bool, dry_run: bool) -> None:
    """Add and change tasks as a file says: all of it or nothing.

    It shows the difference first, and asks if a person is there. Tasks that the
    file does not name stay as they are. With --yes nobody is asked, and so no
    command is approved.

    \b
    Example:
      jarvis-trio import tasks.toml --dry-run
      jarvis-trio import tasks.toml
    """
    try:
        text = file.read()
    except ValueError as error:
        raise TaskError(f"{file.name} is neither TOML nor JSON as `export` writes it: {error}") from None
    plan = exchange.plan_import(session, exchange.read_document(text, file.name))
    _note_left_out(plan.left_out)
    for change in plan.changes:
        _say_difference(change, session)
    say(f"{len(plan.changes)} of {plan.total} tasks are to be added or changed.")
    if dry_run or not plan.changes:
        return
    if not yes and person_is_there() and not click.confirm("Do it?"):
        raise TaskError("nothing was imported")
    for approval in exchange.carry_out(session, plan, by_person=person_is_there() and not yes):
        tell_approval(approval)
    say("Done.")


def _in_ascii_controls(line: str) -> str:
    """A line of TOML with each character that acts on a terminal as an escape, which all stand in strings."""
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _note_left_out(names: list[str]) -> None:
    for name in names:
        note(f"{name} is left out: its only time is past")


def _say_difference(change: exchange.Change, session: Session) -> None:
    before, after, zone = change.before, change.after, session.zone()
    say(f"{'+' if before is None else '~'} {after.name}")
    old = {} if before is None else definition_words(before, zone)
    for line in difference(old, definition_words(after, zone)):
        say(f"    {line}")
