"""Runs a command: `{"command": "prog arg ..."}`, or a list of its words."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jarvis_trio.errors import HandlerError, HandlerTimeoutError
from jarvis_trio.handlers.approvals import Approvals, find_executable
from jarvis_trio.instants import duration_text, utc_text
from jarvis_trio.jsontext import json_object
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.text import printable

if TYPE_CHECKING:
    from jarvis_trio.handlers.processes import Completed

PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
"""What a command gets of the daemon's environment, beside what begins with `LC_`: no secret is in these."""

_LAST_LINE_CHARACTERS = 300


class Custom:
    """The handler `custom`: one approved program, without a shell.

    It runs in a session of its own, in the home folder as cron has it, with an empty
    stdin and the environment of `PASSED_ON`, and with it `JARVIS_TASK`, the task's name;
    `JARVIS_SCHEDULED_FOR`, the slot's time in UTC as ISO 8601, the same text at each
    attempt; `JARVIS_ATTEMPT`, from 1; and `JARVIS_RUN`, which no other run has.

    When it ends, what it left running is ended; at its time limit all of it is ended.
    The result holds `exit_code`, `stdout` and `stderr`, the outputs cut in the middle.

    Args:
        approvals: which executables may be started.
        environment: the daemon's own.
    """

    grace = timedelta(seconds=8)
    """Beyond the time limit: SIGTERM's and SIGKILL's grace in `processes`, and a second."""

    def __init__(self, approvals: Approvals, environment: Mapping[str, str] = os.environ) -> None:
        self._approvals = approvals
        self._environment = passed_on(environment)  # taken once: a handler that misbehaves can change the process's own

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Run the task's command.

        Returns `status`, `exit_code`, `stdout` and `stderr`, with `error` where it failed,
        `left_behind`, a count, where processes of it had to be ended, and `survivors`,
        their PIDs, where some could not be.
        Raises HandlerError where it cannot be started, NotApprovedError where it may not,
        HandlerTimeoutError where it was ended.
        """
        from jarvis_trio.handlers.processes import run_command  # noqa: PLC0415  # psutil: 20 ms, where a command runs

        arguments = command_words(task)
        done = run_command(
            [approved_program(arguments[0], self._environment["PATH"], self._approvals), *arguments[1:]],
            environment=self._environment | task_environment(task, context),
            folder=self._folder(),
            timeout=context.timeout,
            cancelled=context.cancelled,
        )
        if not done.in_time:
            raise HandlerTimeoutError(timeout_reason(done, context.timeout))
        return _result(done)

    def _folder(self) -> str:
        home = self._environment.get("HOME", "")
        return home if os.path.isdir(home) else "/"


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child process gets of the daemon's `environment`: `PASSED_ON`, `LC_*`, and a PATH in any case."""
    given = {name: value for name, value in environment.items() if name in PASSED_ON or name.startswith("LC_")}
    return {"PATH": os.defpath, **given}


def command_words(task: ScheduledTask) -> list[str]:
    """The program and its arguments, as the row has them. Raises HandlerError where there is no command."""
    try:
        command = json_object(task.handler_config, "handler_config", HandlerError).get("command")
        arguments = shlex.split(command) if isinstance(command, str) else command
    except (HandlerError, ValueError) as error:  # ValueError: "No closing quotation"
        raise HandlerError(f"the command cannot be understood: {error}") from None
    if not isinstance(arguments, list) or not arguments or not all(isinstance(word, str) for word in arguments):
        raise HandlerError(f'handler_config needs a command, such as {{"command": "date -u"}}, not {command!r:.100}')
    if not arguments[0] or "\0" in "".join(arguments):
        raise HandlerError(f"the command needs a program's name, and no NUL character: {arguments!r:.100}")
    return arguments


def approved_program(name: str, search_path: str, approvals: Approvals) -> str:
    """The path of the program that a command names.

    Raises HandlerError where it is not on `search_path`, NotApprovedError where it may not be run.
    """
    found = find_executable(name, search_path)
    if found is None:
        raise HandlerError(f"{printable(name)} is not on the daemon's PATH ({search_path}); give its absolute path")
    return str(approvals.check(found))


def task_environment(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
    """What a child process is told of its run."""
    return {
        "JARVIS_TASK": task.name,
        "JARVIS_SCHEDULED_FOR": utc_text(context.scheduled_for),
        "JARVIS_ATTEMPT": str(context.attempt),
    }


def _result(done: Completed) -> dict[str, Any]:
    result: dict[str, Any] = {"status": "ok" if done.exit_code == 0 else "error"}
    if done.exit_code != 0:
        result["error"] = failure_reason(done)
    result |= {"exit_code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
    if done.ended:
        result["left_behind"] = done.ended
    if done.survivors:
        result["survivors"] = list(done.survivors)
    return result


def failure_reason(done: Completed) -> str:
    """How a process that was not ended here ended: its exit code or signal, and its last words."""
    code = done.exit_code
    how = f"exit code {code}" if code is None or code >= 0 else f"ended by {_signal_name(-code)}"
    return ": ".join(filter(None, (how, _last_line(done))))


def timeout_reason(done: Completed, timeout: timedelta) -> str:
    """What was ended at the time limit, what lives on, and the last words."""
    parts = [f"ended at its time limit of {duration_text(timeout)} (processes ended: {done.ended})"]
    if done.survivors:
        pids = ", ".join(map(str, done.survivors))
        parts.append(f"these could not be ended (stuck in the kernel, or another user's): PID {pids}")
    if last := _last_line(done):
        parts.append(f"its last output: {last}")
    return "; ".join(parts)


def _last_line(done: Completed) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return printable(lines[-1][:_LAST_LINE_CHARACTERS]) if lines else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"
