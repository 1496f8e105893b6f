"""Whether an old agent can start at all, and which work it did: read from its plist, nothing is
run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jarvis_trio.service.launchd.checks import privacy_folder

MESSAGE_SCRIPT = "run_inbox_monitor.py"
"""What `com.chg.inbox-monitor` really runs: it looks for messages that begin with "jarvis:"."""


def why_it_cannot_start(listed: Mapping[str, Any], home: Path) -> str | None:
    """The first reason why launchd could not start what the plist names; None without one.

    A reason is a missing program, script, folder or log folder, or one that macOS closes to agents.
    """
    return next(_reasons(listed, home), None)


def _reasons(listed: Mapping[str, Any], home: Path) -> Iterator[str]:
    words = command_of(listed)
    if not words:
        yield "its plist names no program"
        return
    program = Path(words[0])
    if program.is_absolute() and not os.access(program, os.X_OK):
        yield f"its program {program} does not exist or cannot be run"
    yield from (f"{path} does not exist" for path in _named_files(words[1:]) if not path.exists())

    folder = listed.get("WorkingDirectory")
    if isinstance(folder, str) and not os.path.isdir(folder):
        yield f"its folder {folder} does not exist"
    for key in ("StandardOutPath", "StandardErrorPath"):
        log = listed.get(key)
        if isinstance(log, str) and not os.path.isdir(os.path.dirname(log)):
            yield f"launchd cannot open its log {log}"

    for path in (program, *_named_files(words[1:])):
        if path.is_absolute() and (closed := privacy_folder(path, home)) is not None:
            yield f"{path} is in {closed}, which macOS closes to agents unless you gave it Full Disk Access"


def command_of(listed: Mapping[str, Any]) -> list[str]:
    """The words of the command line that a plist names."""
    words = listed.get("ProgramArguments")
    if isinstance(words, list) and words:
        return [str(word) for word in words]
    program = listed.get("Program")
    return [program] if isinstance(program, str) else []


def _named_files(words: list[str]) -> list[Path]:
    """The scripts among the words: what is absolute and has an ending."""
    return [Path(word) for word in words if word.startswith("/") and Path(word).suffix]


@dataclass(frozen=True, slots=True)
class MessageCommand:
    """How an old agent looks for commands by message.

    Attributes:
        words: its command line.
        folder: the folder it runs in; None if its plist names none.
        variables: the names of the variables that its plist sets, without PATH.
    """

    words: tuple[str, ...]
    folder: str | None
    variables: tuple[str, ...]


def message_command(listed: Mapping[str, Any]) -> MessageCommand | None:
    """The command of an old agent that looks for commands by message; None for any other agent."""
    words = command_of(listed)
    if not any(Path(word).name == MESSAGE_SCRIPT for word in words):
        return None
    folder, variables = listed.get("WorkingDirectory"), listed.get("EnvironmentVariables")
    names = variables if isinstance(variables, dict) else {}
    return MessageCommand(
        words=tuple(words),
        folder=folder if isinstance(folder, str) else None,
        variables=tuple(sorted(str(name) for name in names if name != "PATH")),
    )
