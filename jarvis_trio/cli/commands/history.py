"""`jarvis-trio history`."""

from __future__ import annotations

import click

from jarvis_trio.cli.output import Amount, json_option, print_json, say
from jarvis_trio.cli.runs import print_runs
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.desk import looks, views
from jarvis_trio.desk.requests import RunsRequest
from jarvis_trio.desk.session import Session
from jarvis_trio.models import RunStatus

_SCREEN = 20


@click.command()
@click.argument("name", required=False, shell_complete=complete_task)
@click.option("--task", metavar="NAME", shell_complete=complete_task, help="Only this task; the same as NAME.")
@click.option("--status", type=click.Choice([str(status) for status in RunStatus]), help="Only runs with this status.")
@click.option("--since", metavar="TIME", help="Only runs that started since: 2h (ago), yesterday, 2026-12-01.")
@click.option(
    "--limit",
    metavar="N",
    type=Amount(min=1),
    help=f"Show at most N runs; by default {_SCREEN}, with --json all.",
)
@json_option
@pass_looking_session
def history(
    session: Session,
    /,
    name: str | None,
    task: str | None,
    status: str | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List the runs, the newest first.

    \b
    Example:
      jarvis-trio history
      jarvis-trio history backup --status error --since 7d
    """
    if name and task and name != task:
        raise click.UsageError("NAME and --task name different tasks; give one of them")
    limit = limit or (None if as_json else _SCREEN)
    runs = looks.runs(session, RunsRequest(task=name or task, status=status, since=since, limit=limit))
    if as_json:
        print_json([views.run_view(run, session.zone()) for run in runs])
    elif runs:
        print_runs(runs, session.now(), session.zone())
    else:
        say("There are no such runs.")
