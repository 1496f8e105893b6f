"""`jarvis-trio machines`."""

from __future__ import annotations

import click

from jarvis_trio.cli.output import Cell, Column, Fit, json_option, print_json, print_table, say
from jarvis_trio.desk import machines as desk
from jarvis_trio.desk import views
from jarvis_trio.desk.session import Session
from jarvis_trio.insight.machines import MachineState

_COLUMNS = (
    Column("MACHINE"),
    Column("LAST SEEN"),
    Column("TASKS"),
    Column("VERSION"),
    Column("TAKES", Fit.FOLD),
    Column("REMARK", Fit.FOLD),
)


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
    session.only_looks = True
    states, counts = desk.machine_states(session), desk.tasks_by_machine(session)
    if as_json:
        views_of = (views.machine_view(state, session.zone()) for state in states)
        print_json([view | {"tasks": counts.get(view["machine"], 0)} for view in views_of])
        return
    print_table(_COLUMNS, [_row(state, counts.get(state.name, 0)) for state in states])


def _row(state: MachineState, tasks: int) -> list[Cell]:
    machine = state.machine
    takes = [*(["any"] if machine.takes_any else []), *machine.labels]
    remarks = [*(["away"] if state.away else []), *filter(None, [state.clock_words])]
    return [
        Cell(machine.name, "bold"),
        Cell(state.seen),
        Cell(str(tasks)),
        Cell(machine.version or ""),
        Cell(", ".join(takes)),
        Cell(", ".join(remarks), "yellow"),
    ]


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
