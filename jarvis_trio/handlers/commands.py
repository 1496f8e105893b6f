"""A command as a row says it: its words, its variables, the secrets that it gets and its folder.

`{"command": ["/usr/bin/rsync", "-a", "src", "dst"], "env": {"LEVEL": "3"}, "secrets": ["API_KEY"],
"cwd": "/srv"}`; only `command` is needed, and may be one text as well, split as a shell would.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import ScheduledTask
from jarvis_trio.notation.jsontext import json_object

BY_AGENT = "by_agent"
"""The key that marks a command which an AI assistant wrote or changed."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = "JARVIS_"


@dataclass(frozen=True, slots=True)
class Command:
    """What is to be run.

    Attributes:
        words: the program, by its path or its name, and its arguments.
        variables: what is added to its environment.
        secrets: the variables that get the secret of the same name when it starts.
        folder: where it runs; None is the home folder.
        task: the name of its task, for messages.
        by_agent: whether an AI assistant wrote or changed it.
    """

    words: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    folder: str | None = None
    task: str = field(default="", compare=False)
    by_agent: bool = field(default=False, compare=False)

    @property
    def names(self) -> list[str]:
        """The names of all variables that it sets, in order."""
        return sorted({*self.variables, *self.secrets})

    def __str__(self) -> str:
        """The command on one line, with the names of its variables."""
        settings = (("variables", ", ".join(self.names)), ("folder", self.folder))
        extra = "; ".join(f"{name} {text}" for name, text in settings if text)
        return shlex.join(self.words) + (f" ({extra})" if extra else "")

    def config(self) -> dict[str, Any]:
        """The command as the row's configuration."""
        config: dict[str, Any] = {"command": list(self.words)}
        if self.variables:
            config["env"] = dict(self.variables)
        if self.secrets:
            config["secrets"] = list(self.secrets)
        if self.folder is not None:
            config["cwd"] = self.folder
        if self.by_agent:
            config[BY_AGENT] = True
        return config


def command_of(task: ScheduledTask) -> Command:
    """The command in a task's row.

    Raises HandlerError if the command is missing or makes no sense.
    """
    try:
        config = json_object(task.handler_config, "handler_config", HandlerError)
    except HandlerError as error:
        raise HandlerError(f"the command cannot be understood: {error}") from None
    words = words_of(config.get("command"))
    variables = _variables(config.get("env") or {})
    secrets = _secrets(config.get("secrets") or [])
    if twice := sorted(variables.keys() & set(secrets)):
        raise HandlerError(f"the variable {twice[0]} is in env and in secrets", fix="leave it out of one of them")
    return Command(words, variables, secrets, _folder(config.get("cwd")), task.name, config.get(BY_AGENT) is True)


def command_words(task: ScheduledTask) -> list[str]:
    """The program and its arguments, as the row has them. Raises HandlerError as `command_of`."""
    return list(command_of(task).words)


def words_of(value: object) -> tuple[str, ...]:
    """The words of a command: a list of them, or one text that is split as a shell would.

    Raises HandlerError for anything else.
    """
    if value is None:
        raise HandlerError("handler_config names no command", fix='write one, such as {"command": "date -u"}')
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:  # "No closing quotation"
        raise HandlerError(f"the command cannot be understood: {error}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise HandlerError(f'handler_config needs a command, such as {{"command": "date -u"}}, not {value!r:.100}')
    if not words[0] or "\0" in "".join(words):
        raise HandlerError(f"the command needs a program's name, and no NUL character: {words!r:.100}")
    return tuple(words)


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise HandlerError('env must be an object of texts, such as {"LEVEL": "3"}')
    for name, text in value.items():
        check_variable(name)
        if "\0" in text:
            raise HandlerError(f"the variable {name} holds a NUL character")
    return value


def _secrets(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise HandlerError('secrets must be a list of names, such as ["API_KEY"]')
    for name in value:
        check_variable(name)
    return tuple(dict.fromkeys(value))


def check_variable(name: str) -> None:
    """Raises HandlerError for what cannot be the name of a variable that a command is given."""
    if not _VARIABLE.fullmatch(name):
        raise HandlerError(f"{name!r:.100} is not the name of a variable", fix="use letters, digits and underscores")
    if name.startswith(_OURS):
        raise HandlerError(f"the variable {name} is set by the program itself", fix="use a name without JARVIS_")


def _folder(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not os.path.isabs(value) or "\0" in value:
        raise HandlerError(f"cwd must be the absolute path of a folder, not {value!r:.100}")
    return value
