"""Runs a command: `{"command": "prog arg ..."}`, or a list of its words."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jarvis_trio.errors import HandlerError, HandlerTimeoutError
from jarvis_trio.handlers.approvals import Approvals, find_executable
from jarvis_trio.handlers.endings import failure_reason, timeout_reason
from jarvis_trio.handlers.outputs import OutputFile, Outputs
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.instants import utc_text
from jarvis_trio.jsontext import json_object
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.text import printable

if TYPE_CHECKING:
    from jarvis_trio.handlers.processes import Completed

PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
"""What a command gets of the daemon's environment, beside what begins with `LC_`: no secret is in these."""


class Custom:
    """The handler `custom`: one approved program, without a shell.

    It runs in a session of its own, in the home folder as under cron, with an empty stdin. Its
    environment is that of `PASSED_ON`, with `JARVIS_TASK`, the task's name; `JARVIS_SCHEDULED_FOR`,
    the slot's time in UTC as ISO 8601, the same text at each attempt; `JARVIS_ATTEMPT`, from 1; and
    `JARVIS_RUN`, which no other run has.

    When it ends, what it left running is ended; at its time limit all of it is ended. All of its output
    is kept in a file; the result holds `exit_code`, `stdout` and `stderr`, cut in the middle.

    Args:
        approvals: which executables may be started.
        outputs: where the outputs of runs are kept; None keeps none.
        environment: the daemon's own.
        patience: how long the processes of a command have to end.
    """

    def __init__(
        self,
        approvals: Approvals,
        outputs: Outputs | None = None,
        environment: Mapping[str, str] = os.environ,
        patience: Patience = PATIENCE,
    ) -> None:
        self._approvals = approvals
        self._outputs = outputs
        self._patience = patience
        self._environment = passed_on(environment)  # taken once: a handler that misbehaves can change the process's own

    @property
    def grace(self) -> timedelta:
        """How long it may take beyond its time limit: to end its processes, and to be sure of it."""
        return self._patience.grace

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Run the task's command.

        Returns `status`, `exit_code`, `stdout` and `stderr`; also `error` if it failed, `left_behind`,
        a count, if processes of it had to be ended, `survivors`, their PIDs, if some could not be, and
        `output_lost` if not all of its output could be kept.
        Raises HandlerError if it cannot be started, NotApprovedError if it may not be, and
        HandlerTimeoutError if it was ended.
        """
        from jarvis_trio.handlers.processes import run_command  # noqa: PLC0415  # psutil: 20 ms, when a command runs

        arguments = command_words(task)
        program = approved_program(arguments[0], self._environment["PATH"], self._approvals)
        with self._output(context) as output:
            done = run_command(
                [program, *arguments[1:]],
                environment=self._environment | task_environment(task, context),
                folder=self._folder(),
                timeout=context.timeout,
                cancelled=context.cancelled,
                mark=str(context.run_id or ""),
                output=output.write,
                patience=self._patience,
            )
        if output.trouble:
            context.logger.warning("Task %r: %s", task.name, output.trouble)
        if not done.in_time:
            raise HandlerTimeoutError(timeout_reason(done, context.timeout))
        return _result(done, output.trouble)

    def _output(self, context: HandlerContext) -> OutputFile:
        if self._outputs is None or context.run_id is None:
            return OutputFile(None)
        return self._outputs.create(context.run_id)

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


def _result(done: Completed, output_trouble: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {"status": "ok" if done.exit_code == 0 else "error"}
    if done.exit_code != 0:
        result["error"] = failure_reason(done)
    result |= {"exit_code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
    if done.ended:
        result["left_behind"] = done.ended
    if done.survivors:
        result["survivors"] = [process.pid for process in done.survivors]
    if output_trouble:
        result["output_lost"] = output_trouble
    return result
