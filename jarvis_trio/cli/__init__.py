"""The command line: `jarvis-trio COMMAND ...`, or `python -m jarvis_trio COMMAND ...`.

A command's module is imported when it is invoked, so that `list` does not pay for what
`run` needs. To add a command, write it in a module of this folder and name it in
`SECTIONS`, with the first line of its help.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from jarvis_trio import __version__
from jarvis_trio.cli.group import LazyCommand, LazyGroup
from jarvis_trio.clock import Clock
from jarvis_trio.errors import JarvisError, OptionError, RequestError
from jarvis_trio.foreground import COMPLETION, DEFAULT
from jarvis_trio.foreground.telling import PROGRAM, WrongUsageError, code_of
from jarvis_trio.notation.text import NOT_UTF8

if TYPE_CHECKING:
    from jarvis_trio.desk.session import Session


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
    default=DEFAULT,
    help="""Run tasks at their times: one daemon on trio, and a SQLite database that loses no slot.

Without a command it runs the daemon.

\b
Example:
  jarvis-trio init
  jarvis-trio add backup --cron "30 2 * * *" -- /usr/local/bin/backup --all
  jarvis-trio run
""",
)
click.version_option(__version__, prog_name=PROGRAM)(program)


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; those of `sys.argv` by default.
        clock: what the time is; by default the machine's.

    Returns the exit code: 0 done; 1 could not, which one line on stderr says; 2 wrong usage.
    """
    if COMPLETION in os.environ:
        from jarvis_trio.cli.shells import register  # noqa: PLC0415  # which only a shell asks for

        register()
    atexit.register(gc.freeze)  # else the interpreter's end searches all there is for cycles: a tenth of a command
    words = sys.argv[1:] if arguments is None else arguments
    return code_of(lambda: _run_command(words, clock))


def _run_command(words: Sequence[str], clock: Clock | None) -> int:
    from jarvis_trio.foreground.session import CommandSession  # noqa: PLC0415  # `--help` and `--version` need no store

    for word in words:
        if NOT_UTF8.search(word):
            raise JarvisError(f"not UTF-8: {word!r}", fix="type it again in a terminal and a locale that use UTF-8")
    with CommandSession(os.environ, clock) as session:
        return _obey(words, session)


def _obey(words: Sequence[str], session: Session) -> int:
    """Have click read the words, and say in our own errors what it says in its."""
    try:
        code = program.main(words, PROGRAM, standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:  # a group of which no command is named
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.UsageError as error:
        raise WrongUsageError(_usage(error)) from None
    except click.ClickException as error:
        raise JarvisError(_in_one_line(error)) from None
    except click.Abort as abort:  # click's word for Ctrl-C, and for Ctrl-D at a question
        if abort.__cause__ is not None:  # it came at no question, so click has ended the line already
            raise JarvisError("interrupted") from None
        raise KeyboardInterrupt from None
    except OptionError as error:
        raise JarvisError(_in_options(str(error))) from None
    except RequestError as error:
        raise WrongUsageError(_in_options(str(error))) from None
    return code if isinstance(code, int) else 0


def _in_options(message: str) -> str:
    """The message about a request, with the option `--field` in place of each `field`."""
    message = message.replace("`command`", "a command after --")
    return re.sub(r"`(\w+)`", lambda found: f"--{found[1].replace('_', '-')}", message)


def _usage(error: click.UsageError) -> str:
    message = _in_one_line(error)
    return message if error.ctx is None else f"{message}; see: {error.ctx.command_path} --help"


def _in_one_line(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message.replace("a valid integer range", "a whole number")  # click's name of a type
    message = re.sub(r"is not in the range (\d+)<=x<=(\d+)", r"is not from \1 to \2", message)
    return re.sub(r"is not in the range x>=(\d+)", r"is less than \1", message)
