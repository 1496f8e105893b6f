"""`jarvis-trio machines`."""

from __future__ import annotations

import click

from jarvis_trio.cli.output import Cell, Column, json_option, print_json, print_table, say
from jarvis_trio.desk import machines as desk
from jarvis_trio.desk.session import Session
from jarvis_trio.notation.instants import local_text
from jarvis_trio.notation.text import relative

_COLUMNS = (Column("MACHINE"), Column("LAST SEEN"), Column("TASKS"))


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def machines(context: click.Context, as_json: bool) -> None:
    """List the machines that share the database, or forget one.

    \b
    Example:
      jarvis-trio machines
      jarvis-trio machines forget laptop
    """
    if context.invoked_subcommand is not None:
        return
    session: Session = context.obj
    found, counts = desk.machines(session), desk.tasks_by_machine(session)
    if as_json:
        print_json(
            [
                {
                    "machine": machine.name,
                    "seen_at": local_text(machine.seen_at, session.zone()),
                    "tasks": counts.get(machine.name, 0),
                }
                for machine in found
            ]
        )
        return
    now = session.now()
    rows = [
        [Cell(machine.name), Cell(relative(machine.seen_at, now)), Cell(str(counts.get(machine.name, 0)))]
        for machine in found
    ]
    print_table(_COLUMNS, rows)


@machines.command()
@click.argument("name")
@click.pass_obj
def forget(session: Session, name: str) -> None:
    """Say that a machine is gone for good.

    What ran on it is interrupted, and its slots run again as each task says. Say so only of
    a machine that cannot come back: a command that still runs there would run twice.
    Tasks that are to run on it wait until `edit --on` gives them another one.

    \b
    Example:
      jarvis-trio machines forget laptop
    """
    desk.forget(session, name)
    say(f"Forgotten: {name}")
