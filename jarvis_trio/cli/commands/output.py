"""`jarvis-trio output`."""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Iterator

import click

from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.desk import looks
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.models import Run, RunStatus
from jarvis_trio.notation.text import as_shown, printable

_LOOK_SECONDS = 0.2


@click.command()
@click.argument("run", metavar="RUN|NAME", shell_complete=complete_task)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has ended.")
@json_option
@pass_looking_session
def output(session: Session, run: str, follow: bool, as_json: bool) -> None:
    """Print all that a run wrote, both outputs as they came.

    RUN is the number that `history` lists; a task's NAME stands for its last run.
    Up to 10 MiB of a run are kept; beyond that, its beginning and its end. To a
    terminal, characters that would act on it are printed escaped.

    \b
    Example:
      jarvis-trio output 1234
      jarvis-trio output backup --follow
    """
    if follow and as_json:
        raise click.UsageError("--json prints once; leave out --follow")
    found = looks.run_named(session, run)
    if as_json:
        text = b"".join(_pieces(session, found, follow=False)).decode("utf-8", "replace")
        print_json({"run": found.id, "task": found.task_name, "status": str(found.status), "output": text})
        return
    if not session.outputs.path(found.id).exists() and not (follow and found.status is RunStatus.RUNNING):
        says = f"run {found.id} of {found.task_name} has no output"
        raise TaskError(says, fix=f"`jarvis-trio show {found.id}` tells what is known of it")
    _print(_pieces(session, found, follow=follow))


def _pieces(session: Session, run: Run, *, follow: bool) -> Iterator[bytes]:
    def is_over() -> bool:
        return not follow or looks.run(session, run.id).status is not RunStatus.RUNNING

    return session.outputs.follow(run.id, is_over, lambda: time.sleep(_LOOK_SECONDS))


def _print(pieces: Iterator[bytes]) -> None:
    if not sys.stdout.isatty():
        for piece in pieces:
            click.echo(piece, nl=False)
        return

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        for line in lines:
            say(_safe(line))
    if rest:
        say(_safe(rest))


def _safe(line: str) -> str:
    """A line as a terminal would show it in the end, with nothing in it that acts on one."""
    return printable(as_shown(line).expandtabs())
