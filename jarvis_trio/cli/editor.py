"""A task in the person's editor, as `export` writes it, and back."""

from __future__ import annotations

from pathlib import Path

import click

from jarvis_trio.cli.definition import person_is_there, tell_approval
from jarvis_trio.cli.output import say
from jarvis_trio.cli.tasksfile import say_difference, toml_text
from jarvis_trio.desk import acts, exchange
from jarvis_trio.desk.entries import entry_of
from jarvis_trio.desk.requests import TaskRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import JarvisError, TaskError
from jarvis_trio.foreground.telling import note
from jarvis_trio.models import ScheduledTask

_HEAD = "# Save and leave the editor to change the task; leave it unchanged to change nothing.\n\n"
_PAGE = "the edited text"


def edit_in_editor(session: Session, task: ScheduledTask) -> None:
    """Open the task in $VISUAL or $EDITOR, and save what the person changes.

    Raises JarvisError.
    """
    text = _HEAD + toml_text({"tasks": [entry_of(task, Path.home())]})
    while True:
        edited = _edited(text)
        if edited is None or edited == text:
            say("Nothing was changed.")
            return
        try:
            _change(session, task, edited)
        except JarvisError as error:
            note(str(error))
            if not click.confirm("Edit it again?", default=True):
                raise TaskError("nothing was changed") from None
            text = edited
        else:
            return


def _edited(text: str) -> str | None:
    try:
        return click.edit(text, extension=".toml")
    except click.ClickException as error:
        fix = "set EDITOR to an editor that is there; or name what is to change, see: jarvis-trio edit --help"
        raise JarvisError(f"the editor failed: {error.format_message()}", fix=fix) from None


def _change(session: Session, task: ScheduledTask, text: str) -> None:
    """Save all that was changed, a new name too, or nothing. Raises JarvisError."""
    wanted = exchange.read_document(session, text, _PAGE)
    if len(wanted) != 1:
        raise TaskError("the edited text must hold one task")
    with session.store.transaction():
        if wanted[0].name != task.name:
            acts.change(session, task.name, TaskRequest(name=wanted[0].name), by_person=False)
        plan = exchange.plan_import(session, wanted)
        approvals = exchange.carry_out(session, plan, by_person=person_is_there())

    session.changed()
    for change in plan.changes:
        say_difference(change, session)
    for approval in approvals:
        tell_approval(approval)
    say(f"Changed {wanted[0].name}.")
