"""The options that define a task, which `add` and `edit` share, and the request that they make."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import available_timezones

import click

from jarvis_trio.cli.output import say
from jarvis_trio.cli.session import completing
from jarvis_trio.delivery import CHANNEL_NAMES
from jarvis_trio.desk.approvals import Approval
from jarvis_trio.desk.requests import NONE, TaskRequest
from jarvis_trio.errors import TaskError
from jarvis_trio.foreground.telling import note
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.policy import POLICY_OPTIONS, PolicyOption

if TYPE_CHECKING:
    from jarvis_trio.handlers.commands import Command

_Command = TypeVar("_Command", bound=Callable[..., Any])
_TYPE = completing(lambda session: sorted(session.handlers))
_ZONE = completing(lambda _: sorted(available_timezones()))
_CHANNEL = completing(lambda _: (NONE, *CHANNEL_NAMES))


def _option(name: str, metavar: str, help: str, complete: Callable[..., list[str]] | None = None) -> Any:
    return click.option(name, metavar=metavar, help=help, shell_complete=complete)


def _repeatable(name: str, metavar: str, help: str) -> Any:
    return click.option(name, metavar=metavar, help=help, multiple=True)


def _policy_option(option: PolicyOption) -> Any:
    kind = option.kind
    return click.option(
        f"--{option.name.replace('_', '-')}",
        metavar=None if kind.choices else kind.metavar,
        type=click.Choice(kind.choices) if kind.choices else None,
        help=option.help,
        shell_complete=_ZONE if kind.metavar == "ZONE" else None,
    )


_OPTIONS = (
    _option("--every", "DURATION", "Run at this interval, from now on: 90s, 5m, 1h30m, 2d."),
    _option("--cron", "EXPRESSION", 'Run by a cron expression: "0 9 * * MON-FRI", @daily.'),
    _option("--at", "TIME", 'Run once: 2026-12-01T09:00, "tomorrow 9:00", "friday 9:00", "in 20m".'),
    _option("--handler", "TYPE", "What runs: alert_eval, webhook_poll, custom, remind, or an installed type.", _TYPE),
    _option("--config", "JSON", "The handler's configuration, a JSON object."),
    _option("--shell", "TEXT", "Run this by /bin/sh -c: a pipe, say."),
    _repeatable("--env", "NAME=VALUE", "Give the command this variable; repeatable."),
    _repeatable("--secret", "NAME", "Give the command the secret of this name as a variable; repeatable."),
    _option("--cwd", "DIR", "Run the command in this folder; by default in the home folder."),
    *map(_policy_option, POLICY_OPTIONS),
    _option("--deliver", "CHANNEL", f"Send results to {', '.join(CHANNEL_NAMES)}.", _CHANNEL),
    _option("--deliver-config", "JSON", "The channel's configuration, a JSON object."),
    _option("--description", "TEXT", "What it is for."),
    click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND ARG...]"),
)


class DefinitionCommand(click.Command):
    """A command that takes another command after `--`, and says so if the `--` is missing."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does. Without `--`, options of the other command would be taken for ours."""
        typed = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if "--" in typed:
                raise
            says = f"{error.format_message()} If it is one of the command that is to run, write -- before the command."
            raise click.UsageError(says, ctx) from None
        words = ctx.params.get("command") or ()
        if words and "--" not in typed and not ctx.resilient_parsing:
            after = typed[typed.index(words[0]) + 1 :]
            if any(word.startswith("-") for word in after):
                raise click.UsageError(
                    f"write -- before the command, so that its options reach it: -- {words[0]} ...", ctx
                )
        return rest


def definition_options(command: _Command) -> _Command:
    """Give a command the options that make a request; `task_request` takes them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def task_request(options: Mapping[str, Any]) -> TaskRequest:
    """What the options ask for. Raises TaskError for a configuration that is not a JSON object."""
    policy = {option.name: options[option.name] for option in POLICY_OPTIONS if options[option.name] is not None}
    given = {name: value for name, value in options.items() if name not in {option.name for option in POLICY_OPTIONS}}
    for name, option in (("config", "--config"), ("deliver_config", "--deliver-config")):
        if given[name] is not None:
            given[name] = json_object(given[name], option, TaskError)
    return TaskRequest(**given, policy=policy)


def person_is_there() -> bool:
    """Whether a person at a terminal asks: only that approves what a task runs (law 9)."""
    return sys.stdin.isatty()


def tell_approval(approval: Approval, *, as_json: bool = False) -> None:
    """Print what was approved, and note what still needs approval or will surprise.

    With `as_json`, stdout stays free for JSON and only the notes are printed.
    """
    if approval.approved is not None and not as_json:
        say_approved(approval.approved, approval.programs)
    if approval.refused is not None:
        note(str(approval.refused))
    for surprise in approval.surprises:
        note(surprise)


def say_approved(command: Command, programs: Iterable[Path], *, pin: bool = False) -> None:
    """Print which command was approved, and which program, if its first word is not a path."""
    found = [] if Path(command.words[0]).is_absolute() else [f"program {' or '.join(map(str, programs))}"]
    say(f"Approved: {command} ({', '.join(['exactly this command', *found, *(['pinned'] if pin else [])])})")


def note_warnings(warnings: list[str]) -> None:
    """Note what may surprise a person: clock changes, say, or an alert that nobody gets."""
    for warning in warnings:
        note(warning)
