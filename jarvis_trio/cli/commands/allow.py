"""`jarvis-trio allow`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from jarvis_trio.cli.output import json_option, note, print_json, say
from jarvis_trio.desk.session import Session


@click.command()
@click.argument("executables", nargs=-1, metavar="PATH...")
@click.option("--list", "as_list", is_flag=True, help="List what is approved.")
@click.option("--remove", is_flag=True, help="Take the approval of these back.")
@json_option
@click.pass_obj
def allow(session: Session, /, executables: tuple[str, ...], as_list: bool, remove: bool, as_json: bool) -> None:
    """Approve executables, so that tasks may run them.

    What is approved is the program as it is now: when it was replaced, by an
    upgrade say, it has to be approved again.

    \b
    Example:
      jarvis-trio allow /usr/local/bin/backup
      jarvis-trio allow --list
      jarvis-trio allow --remove /usr/local/bin/backup
    """
    if bool(executables) == as_list or (as_json and not as_list):
        raise click.UsageError("give the path of an executable, or --list (with --json, if you like)")
    approvals = session.approvals
    if as_list:
        _show(approvals.list(), as_json)
    for executable in executables:
        if remove:
            say(f"No longer approved: {approvals.remove(executable)}")
        else:
            say(f"Approved: {approvals.allow(executable)}")


def _show(approved: Sequence[Path], as_json: bool) -> None:
    if as_json:
        print_json([str(path) for path in approved])
        return
    for path in approved:
        say(str(path))
    if not approved:
        note("nothing is approved; to approve a program: jarvis-trio allow PATH")
