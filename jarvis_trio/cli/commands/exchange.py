"""`jarvis-trio export` and `import`: tasks as a file, to be kept in git."""

from __future__ import annotations

import json

import click

from jarvis_trio.cli.definition import person_is_there, tell_approval
from jarvis_trio.cli.old_schedulers import content_of, plan_crontab, plan_plists, say_entries
from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.session import complete_task, pass_looking_session
from jarvis_trio.cli.tasksfile import say_difference, toml_text
from jarvis_trio.desk import exchange, views
from jarvis_trio.desk.moving import Move
from jarvis_trio.desk.session import Session
from jarvis_trio.errors import TaskError
from jarvis_trio.foreground.telling import note
from jarvis_trio.notation.text import counted, counted_of

# For completion alone: `content_of` says what is wrong with one, and the fix.
_FILE = click.Path(allow_dash=True, readable=False)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_task)
@click.option("--format", "kind", type=click.Choice(["toml", "json"]), default="toml", help="TOML by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the same as --format json.")
@pass_looking_session
def export(session: Session, /, names: tuple[str, ...], kind: str, as_json: bool) -> None:
    """Print the tasks as TOML or JSON, to be kept in a file.

    It says what is to run, in the words of `add`, and not what ran. Paths in the
    home folder begin with ~, so the file serves another machine. A task whose only
    time is past is left out, and noted on stderr.

    \b
    Example:
      jarvis-trio export > tasks.toml
      jarvis-trio export backup
    """
    exported = exchange.export_tasks(session, names)
    if as_json or kind == "json":
        click.echo(json.dumps(exported.document, indent=2))
    else:
        click.echo(toml_text(exported.document), nl=False)
    _note_left_out(exported.left_out)


@click.command("import")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_FILE)
@click.option("--crontab", metavar="FILE", type=_FILE, help="Take a crontab; - is stdin.")
@click.option("--plist", is_flag=True, help="Take property lists of launchd agents.")
@click.option("--prune", is_flag=True, help="Remove the tasks that the file does not name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@json_option
@click.pass_obj
def import_tasks(
    session: Session,
    /,
    files: tuple[str, ...],
    crontab: str | None,
    plist: bool,
    prune: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Add and change tasks as a file says: all of it or nothing.

    It shows the difference first, and asks if a person is there. Tasks that the
    file does not name stay as they are, unless you give --prune. With --yes nobody is
    asked, and so no command is approved.

    A crontab, or a launchd agent's property list, adds tasks and changes none. Each
    line that cannot be taken over is listed with the reason. The old scheduler stays
    as it is: remove the lines there, or both run them.

    \b
    Example:
      jarvis-trio import tasks.toml --dry-run
      crontab -l | jarvis-trio import --crontab -
      jarvis-trio import --plist ~/Library/LaunchAgents/*.plist
    """
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json asks nobody; give --yes or --dry-run")
    move = _plan(session, files, crontab, plist=plist, prune=prune)
    _note_left_out(move.plan.left_out)
    if as_json:
        _import_as_json(session, move, dry_run=dry_run)
        return
    say_entries(move.entries)
    _say_plan(move.plan, session)
    if not dry_run and (move.plan.changes or move.plan.pruned):
        _import(session, move.plan, by_person=person_is_there() and not yes)


def _import_as_json(session: Session, move: Move, *, dry_run: bool) -> None:
    if not dry_run:
        _carry_out(session, move.plan, by_person=False, as_json=True)
    print_json(views.import_view(move, session.zone()) | {"done": not dry_run})


def _import(session: Session, plan: exchange.Import, *, by_person: bool) -> None:
    """Do what was shown, once a person who is there has agreed."""
    if by_person and not click.confirm("Do it?"):
        raise TaskError("nothing was imported")
    _carry_out(session, plan, by_person=by_person)
    say("Done.")


def _say_plan(plan: exchange.Import, session: Session) -> None:
    for change in plan.changes:
        say_difference(change, session)
    changed = counted_of(len(plan.changes), plan.total, "task", "is", "are")
    say(f"{changed} to be added or changed.")

    for task in plan.pruned:
        say(f"- {task.name}")
    if plan.pruned:
        say(f"{counted(len(plan.pruned), 'task')} to be removed.")


def _carry_out(session: Session, plan: exchange.Import, *, by_person: bool, as_json: bool = False) -> None:
    for approval in exchange.carry_out(session, plan, by_person=by_person):
        tell_approval(approval, as_json=as_json)


def _plan(session: Session, files: tuple[str, ...], crontab: str | None, *, plist: bool, prune: bool) -> Move:
    if prune and (crontab is not None or plist):
        raise click.UsageError("--prune goes with a file of tasks")
    if crontab is not None:
        if files or plist:
            raise click.UsageError("give a crontab, or property lists, or a file of tasks")
        return plan_crontab(session, crontab)
    if not files:
        raise click.UsageError("give a file")
    if plist:
        return plan_plists(session, files)
    if len(files) > 1:
        raise click.UsageError("give one file of tasks")
    tasks = exchange.read_document(session, _document(files[0]), files[0])
    return Move(entries=[], plan=exchange.plan_import(session, tasks, prune=prune))


def _document(name: str) -> str:
    try:
        return content_of(name).decode()
    except ValueError as error:
        raise TaskError(f"{name} is neither TOML nor JSON as `export` writes it: {error}") from None


def _note_left_out(names: list[str]) -> None:
    for name in names:
        note(f"{name} is left out: its only time is past")
