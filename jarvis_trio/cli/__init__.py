"""The command line: `jarvis-trio COMMAND ...`, or `python -m jarvis_trio COMMAND ...`.

A command's module is imported when it is invoked, so that `list` does not pay for what
`run` needs. To add a command, write it in a module of this folder and name it in
`SECTIONS`, with the first line of its help.
"""

from __future__ import annotations

import atexit
import gc
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from jarvis_trio import __version__
from jarvis_trio.cli.group import LazyCommand, LazyGroup
from jarvis_trio.clock import Clock
from jarvis_trio.errors import JarvisError, RequestError
from jarvis_trio.notation.text import NOT_UTF8, printable

_PROGRAM = "jarvis-trio"
_WRONG_USAGE = 2
_COMPLETION = "_JARVIS_TRIO_COMPLETE"


def _command(name: str, target: str, summary: str) -> LazyCommand:
    return LazyCommand(name, f"{__name__}.commands.{target}", summary)


SECTIONS = {
    "The daemon": [
        _command("run", "run:run", "Run the daemon in the foreground, until it is stopped."),
        _command("init", "init:init", "Make the database in its folder, with the two usual tasks."),
        _command("status", "status:status", "Say how the daemon and the tasks stand, and what runs."),
        _command("watch", "watch:watch", "Watch the tasks live, and run, pause or stop them."),
        _command("logs", "logs:logs", "Show the last lines of the log."),
        _command("doctor", "doctor:doctor", "Find what is wrong with this set-up, and say how to fix it."),
        _command("move", "move:move", "Move the database to a server that machines share, or back to a file."),
        _command("machines", "machines:machines", "List the machines that share the database, or forget one."),
        _command("settings", "settings:settings", "Show each setting, and where its value comes from."),
        _command("adopt", "adopt:adopt", "Say what happens to an assistant's tasks, before anything runs."),
        _command("service", "service:service", "Run the daemon for good, under launchd or systemd."),
        _command("launchd", "launchd:launchd", "Run the daemon as a macOS launchd agent."),
    ],
    "Tasks": [
        _command("add", "add:add", "Add a task."),
        _command("edit", "edit:edit", "Change a task."),
        _command("remind", "remind:remind", "Tell you a text at a time."),
        _command("list", "list:list_tasks", "List the tasks, with their next and their last run."),
        _command("show", "show:show", "Show a task, or one run with its result."),
        _command("pause", "control:pause", "Stop scheduling tasks, until they are resumed."),
        _command("resume", "control:resume", "Schedule paused tasks again."),
        _command("remove", "control:remove", "Remove tasks; their history stays."),
        _command("allow", "allow:allow", "Approve what tasks may run."),
        _command("export", "exchange:export", "Print the tasks as TOML or JSON, to be kept in a file."),
        _command("import", "exchange:import_tasks", "Add and change tasks as a file says: all of it or nothing."),
    ],
    "The assistant's tables": [
        _command("rules", "rules:rules", "See and change the alert rules."),
        _command("events", "events:events", "See and change what came in by webhook."),
    ],
    "Runs": [
        _command("run-now", "run_now:run_now", "Run tasks now, show what they write, and wait."),
        _command("stop", "stop:stop", "End what runs of a task."),
        _command("tick", "evaluate:tick", "Run what is due, once, in this process."),
        _command("history", "history:history", "List the runs, the newest first."),
        _command("output", "output:output", "Print all that a run wrote, both outputs as they came."),
        _command("timeline", "timeline:timeline_command", "Draw the runs of the last hours, a lane for each task."),
        _command("forecast", "forecast:forecast_command", "Say what will run when, in order."),
        _command("explain", "explain:explain_command", "Say why a task ran, did not run, or will run."),
        _command("deliver-test", "deliver_test:deliver_test", "Send a sample to a channel, and say where it went."),
    ],
    "Other programs": [
        _command("mcp", "mcp:mcp", "Let an AI assistant use the scheduler, over MCP."),
    ],
    "The shell": [
        _command("completion", "completion:completion", "Print the script that completes commands in a shell."),
    ],
}

program = LazyGroup(
    SECTIONS,
    default="run",
    help="""Run tasks at their times: one daemon on trio, and a SQLite database that loses no slot.

Without a command it runs the daemon.

\b
Example:
  jarvis-trio init
  jarvis-trio add backup --cron "30 2 * * *" -- /usr/local/bin/backup --all
  jarvis-trio run
""",
)
click.version_option(__version__, prog_name=_PROGRAM)(program)


class _Notes(logging.Handler):
    """Prints each log record of a command on one line, with its traceback only on request."""

    tracebacks = False

    def emit(self, record: logging.LogRecord) -> None:
        told = record.exc_info is None or self.tracebacks
        # How a run ended is what the command itself prints, if it ended well.
        if told and (record.name != "jarvis_trio.runs" or record.levelno > logging.INFO):
            for line in self.format(record).splitlines():
                click.echo(printable(line), err=True)


NOTES = _Notes()
"""The daemon takes this one off the root logger, since it has a log."""


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; those of `sys.argv` by default.
        clock: what the time is; by default the machine's.

    Returns the exit code: 0 done; 1 could not, which one line on stderr says; 2 wrong usage.
    """
    if _COMPLETION in os.environ:
        from jarvis_trio.cli.shells import register  # noqa: PLC0415  # which only a shell asks for

        register()
    atexit.register(gc.freeze)  # else the interpreter's end searches all there is for cycles: a tenth of a command
    logging.getLogger().addHandler(NOTES)
    logging.getLogger("jarvis_trio").setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a C locale can show no other text

    try:
        code = _run_command(sys.argv[1:] if arguments is None else arguments, clock)
        sys.stdout.flush()  # a full disk shows here, where it can still be told
    except (click.ClickException, click.Abort, JarvisError, OSError, KeyboardInterrupt) as error:
        return _told(error)
    return code


def _told(error: BaseException) -> int:
    """Say on stderr why a command failed. Returns its exit code."""
    match error:
        case click.exceptions.NoArgsIsHelpError():  # a group of which no command is named
            click.echo(error.format_message(), err=True)
            return error.exit_code
        case click.ClickException():
            return _complain(_usage(error), error.exit_code)
        case RequestError():
            return _complain(_in_options(str(error)), _WRONG_USAGE)
        case JarvisError():
            return _complain(str(error))
        case OSError():
            return _complain(_of_system(error))
    return _complain("interrupted")


def _run_command(words: Sequence[str], clock: Clock | None) -> int:
    from jarvis_trio.cli.session import CommandSession  # noqa: PLC0415  # `--help` and `--version` need no store

    for word in words:
        if NOT_UTF8.search(word):
            raise JarvisError(f"not UTF-8: {word!r}", fix="type it again in a terminal and a locale that use UTF-8")
    with CommandSession(os.environ, clock) as session:
        code = program.main(words, _PROGRAM, standalone_mode=False, obj=session)
    return code if isinstance(code, int) else 0


def _of_system(error: OSError) -> str:
    """What the system refuses. Without a file's name it is stdout that cannot be written."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"cannot write the output: {reason}; make room, or print it elsewhere"
    return f"cannot use {error.filename}: {reason}"


def _complain(message: str, code: int = 1) -> int:
    with suppress(OSError):  # nobody can be told
        click.echo(f"{_PROGRAM}: {printable(message)}", err=True)
    return code


def _in_options(message: str) -> str:
    """The message about a request, with the option `--field` in place of each `field`."""
    message = message.replace("`command`", "a command after --")
    return re.sub(r"`(\w+)`", lambda found: f"--{found[1].replace('_', '-')}", message)


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("a valid integer range", "a whole number")  # click's name of a type
    message = re.sub(r"is not in the range (\d+)<=x<=(\d+)", r"is not from \1 to \2", message)
    message = re.sub(r"is not in the range x>=(\d+)", r"is less than \1", message)
    return message if context is None else f"{message}; see: {context.command_path} --help"
