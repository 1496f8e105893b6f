"""`jarvis-trio rules`: the alert rules, which the task `alert_eval` evaluates."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import tzinfo
from functools import partial

import click

from jarvis_trio.cli.output import Cell, Column, Fit, json_option, print_json, print_list, say, stamp
from jarvis_trio.cli.session import completing, pass_looking_session
from jarvis_trio.desk import assistant
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.store.assistant import RuleRow

_COLUMNS = (
    Column("NAME", Fit.FOLD),
    Column("LOOKS FOR"),
    Column("CONDITION", Fit.FOLD),
    Column("", Fit.KEEP),
    Column("TRIGGERED", Fit.CUT),
)
_name_argument = click.argument(
    "name", shell_complete=completing(lambda session: [row.name for row in assistant.rules(session)])
)


@click.group()
def rules() -> None:
    """See and change the alert rules.

    A rule looks for something in the assistant's tables: active delegations that are
    overdue or due soon, decisions that wait for too long, a backup that is too old.
    The task `alert_eval` evaluates all of them, and tells you of what it finds.

    \b
    Example:
      jarvis-trio rules add "Late work" --type overdue_delegation \\
        --condition '{"days_overdue": 2}'
      jarvis-trio rules list
    """


@rules.command("list")
@json_option
@pass_looking_session
def list_rules(session: Session, as_json: bool) -> None:
    """List the rules.

    \b
    Example:
      jarvis-trio rules list
    """
    print_list(
        assistant.rules(session),
        view=assistant.rule_view,
        columns=_COLUMNS,
        row=partial(_row, zone=session.zone()),
        nothing="There are no rules yet. To add one: jarvis-trio rules add NAME --type overdue_delegation",
        as_json=as_json,
    )


@rules.command()
@_name_argument
@json_option
@pass_looking_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show one rule.

    \b
    Example:
      jarvis-trio rules show "Late work"
    """
    _tell(assistant.rule(session, name), session, as_json=as_json)


@rules.command()
@click.argument("name")
@click.option("--type", "kind", metavar="TYPE", required=True, help="What it looks for: overdue_delegation, ...")
@click.option("--condition", metavar="JSON", help="Its limit, a JSON object; each type has a usual one.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@json_option
@click.pass_obj
def add(
    session: Session, /, name: str, kind: str, condition: str | None, description: str | None, as_json: bool
) -> None:
    """Add a rule.

    Types: overdue_delegation, upcoming_deadline, pending_decision, stale_decision,
    stale_backup.

    \b
    Example:
      jarvis-trio rules add "Old backup" --type stale_backup
    """
    wanted = None if condition is None else json_object(condition, "--condition", TaskError)
    _tell(assistant.add_rule(session, name, kind, wanted, description), session, as_json=as_json)


def _on_a_rule(act: Callable[..., None]) -> click.Command:
    """Make a command of what is done to one rule: to the session, its name, and `as_json`."""
    return rules.command()(_name_argument(json_option(click.pass_obj(act))))


@_on_a_rule
def pause(session: Session, name: str, as_json: bool) -> None:
    """Evaluate a rule no longer, until it is resumed.

    \b
    Example:
      jarvis-trio rules pause "Late work"
    """
    _tell(assistant.enable_rule(session, name, False), session, as_json=as_json)


@_on_a_rule
def resume(session: Session, name: str, as_json: bool) -> None:
    """Evaluate a paused rule again.

    \b
    Example:
      jarvis-trio rules resume "Late work"
    """
    _tell(assistant.enable_rule(session, name, True), session, as_json=as_json)


@_on_a_rule
def remove(session: Session, name: str, as_json: bool) -> None:
    """Remove a rule.

    \b
    Example:
      jarvis-trio rules remove "Late work"
    """
    assistant.remove_rule(session, name)
    print_json({"removed": name}) if as_json else say(f"Removed the rule {name}.")


def _tell(row: RuleRow, session: Session, *, as_json: bool) -> None:
    if as_json:
        print_json(assistant.rule_view(row))
        return
    say(row.name + ("" if row.enabled else " (paused)"))
    for heading, text in (
        ("description", row.description),
        ("looks for", row.alert_type),
        ("condition", row.condition),
        ("triggered", stamp(row.last_triggered_at, session.zone(), "never")),
        ("made", stamp(row.created_at, session.zone())),
    ):
        if text:
            say(f"  {heading + ':':<13}{text}")


def _row(row: RuleRow, zone: tzinfo) -> list[Cell]:
    state = Cell("") if row.enabled else Cell("paused", "yellow")
    condition = ", ".join(f"{key} {value}" for key, value in _condition(row).items())
    return [
        Cell(row.name, "bold"),
        Cell(row.alert_type),
        Cell(condition),
        state,
        Cell(stamp(row.last_triggered_at, zone, "never")),
    ]


def _condition(row: RuleRow) -> dict[str, object]:
    value = assistant.rule_view(row)["condition"]
    return value if isinstance(value, dict) else {"": json.dumps(value)}
