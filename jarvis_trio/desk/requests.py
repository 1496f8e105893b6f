"""Requests as frozen values: the texts that a person or a program gave, not yet parsed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

DEFAULT = "default"
"""What takes back a value for which `none` is a value itself: a time limit."""

NONE = "none"
"""What takes back what was said before: a description, a channel, or a policy option."""


class TaskRequest(NamedTuple):
    """What a task is to be.

    None or an empty field gives a new task nothing, and leaves an existing task as it is.

    Attributes:
        name: a new name for a task that is there; its history keeps to it.
        every: a duration: `90s`, `5m`, `1h30m`.
        cron: a cron expression, with weekdays by name.
        at: a single time: `2026-12-01T09:00`, `tomorrow 9:00`, `in 20m`.
        handler: the handler type; `config` is its configuration.
        command: the words of a command, which stand for the handler `custom`.
        shell: a text for /bin/sh in place of a command, such as a pipe.
        env: variables of the command, `NAME=VALUE` each; `none` takes all back.
        secret: names of variables that get the secret of that name; `none` takes all back.
        cwd: the folder in which the command runs; `none` is the home folder.
        policy: values by the names of `policy.POLICY_OPTIONS`.
        deliver: the channel of results; `deliver_config` is its configuration.
        description: what the task is for.
        by_agent: whether an AI assistant asks; its commands need an approval of their own.
    """

    name: str | None = None
    every: str | None = None
    cron: str | None = None
    at: str | None = None
    handler: str | None = None
    config: Mapping[str, Any] | None = None
    command: tuple[str, ...] = ()
    shell: str | None = None
    env: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    cwd: str | None = None
    policy: Mapping[str, str] = MappingProxyType({})
    deliver: str | None = None
    deliver_config: Mapping[str, Any] | None = None
    description: str | None = None
    by_agent: bool = False

    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return self == TaskRequest(by_agent=self.by_agent)

    @property
    def changes_command(self) -> bool:
        """Whether something of a command is given."""
        return bool(self.command or self.env or self.secret) or self.shell is not None or self.cwd is not None

    @property
    def schedules(self) -> list[tuple[str, str]]:
        """The schedules that are given, each with its name."""
        return [(name, text) for name in ("every", "cron", "at") if (text := getattr(self, name)) is not None]


class RunsRequest(NamedTuple):
    """Which runs are wanted; None sets no limit.

    Attributes:
        task: only the runs of this task.
        status: only those that ended so, a `RunStatus`.
        since: only those that started since a time: `2h` (ago), `yesterday`, `2026-12-01`.
        limit: at most this many.
    """

    task: str | None = None
    status: str | None = None
    since: str | None = None
    limit: int | None = None


class TasksRequest(NamedTuple):
    """Which tasks are wanted.

    Attributes:
        text: only those in whose name, description or configuration it stands, in any case.
        failing: only those in trouble.
        due: only those whose time has come.
        finished: also those that were to run once and did, more than a day ago.
        limit: at most this many, the first by name; None sets no limit.
    """

    text: str | None = None
    failing: bool = False
    due: bool = False
    finished: bool = False
    limit: int | None = None
