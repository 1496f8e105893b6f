"""What became of one entry of another scheduler: tasks, or the reason why there are none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jarvis_trio.models import COMMAND_TYPE, ScheduledTask, ScheduleType

_WRAPPERS = frozenset(["env", "exec", "nice", "ionice", "nohup", "time", "chronic", "setsid", "sudo", "caffeinate"])
_INTERPRETERS = re.compile(r"(ba|da|k|z)?sh|python[\d.]*|perl|ruby|node|php|uv|npx|osascript")
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a crontab, or a property list.

    Attributes:
        place: where it stands: `line 7`, or the name of the file.
        text: the entry in short.
        tasks: what it becomes; none if it cannot be taken over.
        why: the reason for that.
        notes: what differs from what the other scheduler did.
    """

    place: str
    text: str
    tasks: tuple[ScheduledTask, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What an entry runs, and how."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: str | None = None

    def configuration(self) -> str:
        """The configuration of the handler `custom`."""
        config: dict[str, Any] = {"command": list(self.command)}
        if self.environment:
            config["env"] = dict(self.environment)
        if self.folder is not None:
            config["cwd"] = self.folder
        return json.dumps(config)


def cron_task(name: str, expression: str, program: Program, **columns: Any) -> ScheduledTask:
    """A task by a cron expression."""
    return _task(name, ScheduleType.CRON, {"expression": expression}, program, columns)


def interval_task(name: str, seconds: int, program: Program, **columns: Any) -> ScheduledTask:
    """A task at an interval, in the largest unit of which it is a whole number."""
    units = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
    unit, size = next((unit, size) for unit, size in units if seconds % size == 0)
    return _task(name, ScheduleType.INTERVAL, {unit: seconds // size}, program, columns)


def _task(
    name: str, kind: ScheduleType, config: Mapping[str, Any], program: Program, columns: Mapping[str, Any]
) -> ScheduledTask:
    return ScheduledTask(
        name=name,
        schedule_type=kind,
        schedule_config=json.dumps(config),
        handler_type=COMMAND_TYPE,
        handler_config=program.configuration(),
        **columns,
    )


def name_of(words: Sequence[str]) -> str:
    """A name for the task that runs these words: that of its program, or of its script."""
    words = list(words)
    while words and ("=" in words[0] or _last_part(words[0]) in _WRAPPERS or words[0].startswith("-")):
        del words[0]
    if not words:
        return "command"
    program = _last_part(words[0])
    if _INTERPRETERS.fullmatch(program):
        scripts = [word for word in words[1:] if not word.startswith("-")]
        program = _last_part(scripts[0]) if scripts else program
    stem = re.sub(r"\.(sh|bash|py|pl|rb|js|php|scpt)$", "", program)
    return re.sub(r"[^\w.+-]+", "-", stem)[:_LONGEST_NAME].strip("-.") or "command"


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
