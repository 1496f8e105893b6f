"""Runs the command of a task's row to its end; `commands` says what a row may hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jarvis_trio.errors import HandlerTimeoutError
from jarvis_trio.handlers.approvals import Approvals
from jarvis_trio.handlers.commands import command_of
from jarvis_trio.handlers.endings import failure_reason, hold_task, timeout_reason
from jarvis_trio.handlers.outputs import OutputFile, Outputs
from jarvis_trio.handlers.patience import PATIENCE, Patience
from jarvis_trio.handlers.secrets import CommandSecrets
from jarvis_trio.handlers.starts import misread_first_line
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.notation.instants import utc_text
from jarvis_trio.process.umask import current_umask

if TYPE_CHECKING:
    from jarvis_trio.handlers.processes import Completed

PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")
"""What a command gets of the daemon's environment, besides `LC_*`. None of these holds a secret."""


class Custom:
    """The handler `custom`: one approved program, without a shell.

    It runs in a session of its own, in the home folder as under cron or in the row's `cwd`, with an
    empty stdin. Its environment is that of `PASSED_ON`, then the row's `env` and `secrets`, then
    `JARVIS_TASK`, the task's name; `JARVIS_SCHEDULED_FOR`, the slot's time in UTC as ISO 8601, the
    same text at each attempt; `JARVIS_ATTEMPT`, from 1; and `JARVIS_RUN`, which no other run has.

    When the command ends, the processes it left running are ended; at its time limit all of its
    processes are. All of its output is kept in a file; the result holds `exit_code`, `stdout` and
    `stderr`, cut in the middle.

    Args:
        approvals: which commands may be started.
        outputs: where the outputs of runs are kept; None keeps none.
        environment: the daemon's own.
        patience: how long the processes of a command have to end.
        secrets_dir: the folder with the file of secrets; None if only the environment has secrets.
    """

    def __init__(
        self,
        approvals: Approvals,
        outputs: Outputs | None = None,
        environment: Mapping[str, str] = os.environ,
        patience: Patience = PATIENCE,
        secrets_dir: Path | None = None,
    ) -> None:
        self._approvals = approvals
        self._outputs = outputs
        self._patience = patience
        # Taken once: a handler that misbehaves can change the process's own.
        self._environment = passed_on(environment)
        self._umask = current_umask()
        self._secrets = CommandSecrets(dict(environment), secrets_dir)

    @property
    def grace(self) -> timedelta:
        """How long it may take beyond its time limit, to be sure that its processes have ended."""
        return self._patience.grace

    def __call__(self, task: ScheduledTask, context: HandlerContext) -> dict[str, Any]:
        """Run the task's command.

        Returns `status`, `exit_code`, `stdout` and `stderr`. It also returns `error` if the command
        failed; `left_behind`, a count, if processes of it had to be ended; `survivors`, their PIDs,
        if some could not be ended; and `output_lost` if part of its output could not be kept.

        Raises HandlerError if the command cannot be started or lacks a secret, NotApprovedError if
        it may not be started, and HandlerTimeoutError if it had to be ended.
        """
        from jarvis_trio.handlers.processes import run_command  # noqa: PLC0415  # psutil: 20 ms, when a command runs

        command, home = command_of(task), home_folder(self._environment)
        program = self._approvals.check(command, self._environment["PATH"], home)
        given = {**command.variables, **self._secrets.values(command.secrets)}
        with self._output(context) as output:
            done = run_command(
                [str(program), *command.words[1:]],
                environment=self._environment | given | task_environment(task, context),
                folder=command.folder or home,
                timeout=context.timeout,
                cancelled=context.cancelled,
                mark=str(context.run_id or ""),
                output=output.write,
                umask=self._umask,
                patience=self._patience,
            )
        hold_task(done, task, context)
        done = done.without(given[name] for name in command.secrets)
        if output.trouble:
            context.logger.warning("Task %r: %s", task.name, output.trouble)
        if not done.in_time:
            raise HandlerTimeoutError(timeout_reason(done, context.timeout))
        return _result(str(program), done, output.trouble)

    def _output(self, context: HandlerContext) -> OutputFile:
        if self._outputs is None or context.run_id is None:
            return OutputFile(None)
        return self._outputs.create(context.run_id)


def home_folder(environment: Mapping[str, str]) -> str:
    """The folder of a command that names none: the home folder, or the root without a home."""
    home = environment.get("HOME", "")
    return home if os.path.isdir(home) else "/"


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child process gets of the daemon's `environment`.

    It gets `PASSED_ON`, `LC_*`, and a PATH in any case.
    """
    given = {name: value for name, value in environment.items() if name in PASSED_ON or name.startswith("LC_")}
    return {"PATH": os.defpath, **given}


def task_environment(task: ScheduledTask, context: HandlerContext) -> dict[str, str]:
    """What a child process is told of its run."""
    return {
        "JARVIS_TASK": task.name,
        "JARVIS_SCHEDULED_FOR": utc_text(context.scheduled_for),
        "JARVIS_ATTEMPT": str(context.attempt),
    }


def _result(program: str, done: Completed, output_trouble: str | None) -> dict[str, Any]:
    result: dict[str, Any] = {"status": "ok" if done.exit_code == 0 else "error"}
    if done.exit_code != 0:
        result["error"] = str(misread_first_line(program, done.exit_code) or failure_reason(done))
    result |= {"exit_code": done.exit_code, "stdout": done.stdout, "stderr": done.stderr}
    if done.ended:
        result["left_behind"] = done.ended
    if done.survivors:
        result["survivors"] = [process.pid for process in done.survivors]
    if output_trouble:
        result["output_lost"] = output_trouble
    return result
