"""`jarvis-trio output`."""

from __future__ import annotations

import codecs
import shutil
import sys
import time
from collections.abc import Iterable, Iterator

import click

from jarvis_trio.cli.output import json_option, print_json
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.desk import looks
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.models import Run, RunStatus
from jarvis_trio.notation.text import as_shown, cells, printable

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
    if not session.outputs.is_kept(found.id) and not (follow and found.status is RunStatus.RUNNING):
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

    print_lines(pieces, shutil.get_terminal_size().columns)


def print_lines(pieces: Iterable[bytes], width: int) -> None:
    """Print text for a terminal of that many columns, as it comes: also a line that has no end yet.

    What is added to such a line is added on the screen. If it becomes another one, as a progress
    bar does, it is written over, or again below if it fills more than a line of the terminal.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = shown = ""
    for piece in pieces:
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        for line in lines:
            _write_on(shown, _safe(line), width)
            click.echo()
            shown = ""
        shown = _write_on(shown, _safe(rest), width)
    if shown:
        click.echo()


def _write_on(shown: str, line: str, width: int) -> str:
    """Make the line `shown` on the screen read `line`; returns that."""
    if line.startswith(shown):
        click.echo(line[len(shown) :], nl=False)
    elif max(cells(shown), cells(line)) < width:
        click.echo(f"\r{' ' * cells(shown)}\r{line}", nl=False)
    else:
        click.echo(f"\n{line}", nl=False)
    return line


def _safe(line: str) -> str:
    """A line as a terminal would show it in the end, with nothing in it that acts on one."""
    return printable(as_shown(line).expandtabs())
