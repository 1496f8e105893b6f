"""What a task says of its own runs: its policy, and the options by which people give it. Pure.

`Policy` is the value, `POLICY_OPTIONS` the one table of what may stand in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, Self
from zoneinfo import available_timezones

from jarvis_trio.errors import ScheduleError
from jarvis_trio.notation.instants import duration_text, parse_duration, parse_zone
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.text import nearest

NO_LIMIT_SECONDS = 10 * 366 * 86_400
"""Ten years, the longest duration of a policy. As a time limit it stands for none, so that versions
that know nothing of `none` read the row as well, and nothing has to add infinity to a time."""

ANYWHERE = "any"
"""The place of a task that any machine may run."""


class OnInterrupt(StrEnum):
    """What becomes of a slot whose run died with its process."""

    RETRY = "retry"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a task says of its own runs: `scheduled_tasks.policy`, JSON text.

    All durations are in seconds. `None` means: the program's default
    (`timezone`: the machine's zone; `timeout_seconds`: the setting;
    `misfire_grace_seconds`, `alert_after_seconds`: no limit).
    """

    timezone: str | None = None
    timeout_seconds: float | None = None
    retries: int = 0
    retry_delay_seconds: float = 30.0
    misfire_grace_seconds: float | None = None
    on_interrupt: OnInterrupt = OnInterrupt.RETRY
    alert_after_seconds: float | None = None
    alert_channel: str | None = None
    alert_config: Mapping[str, Any] | None = None
    on: str | None = None

    def __post_init__(self) -> None:
        for option in POLICY_OPTIONS:
            option.kind.check(f"policy: {option.key}", getattr(self, option.key))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """The policy in the column's text; no text means all defaults.

        Keys that it does not know are left to whoever wrote them. Raises
        ScheduleError for text that is not a JSON object, or a value that is not allowed.
        """
        if text is None or not text.strip():
            return cls()
        values = json_object(text, "policy")
        known = {f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None}
        if "on_interrupt" in known:
            known["on_interrupt"] = _on_interrupt(known["on_interrupt"])
        return cls(**known)

    def to_json(self) -> str | None:
        """The column's text: only what differs from the defaults; None if nothing does."""
        default = Policy()
        changed = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != getattr(default, f.name)}
        return json.dumps(changed) if changed else None


task_policy = lru_cache(maxsize=4096)(Policy.from_json)
"""`Policy.from_json`, remembered by its text."""


class PolicyKind(NamedTuple):
    """How the values of a policy option are written.

    `metavar` names one in a help text; `read` makes the stored value of what a person
    typed, or raises ScheduleError; `words` is its inverse; `check` is called with what to call
    the value in a message and the value as a row holds it, and raises ScheduleError; `choices` are
    all values there are; `takes_none` says that `none` is such a value, and does not take back what
    was said.
    """

    metavar: str
    read: Callable[[str], Any]
    words: Callable[[Any], str]
    check: Callable[[str, Any], None]
    choices: tuple[str, ...] = ()
    takes_none: bool = False


class PolicyOption(NamedTuple):
    """What a task may say of its own runs: the name that people use, and the key in its row.

    The one table of these is `POLICY_OPTIONS`. From it follow the options of `add` and
    `edit`, what a policy is checked for, its words in `show`, and what `export` writes.
    """

    name: str
    key: str
    kind: PolicyKind
    help: str


def _read_seconds(text: str) -> float:
    """A duration in seconds: a whole number if it is one, since people read the row."""
    seconds = parse_duration(text).total_seconds()
    if seconds > NO_LIMIT_SECONDS:
        raise ScheduleError(f"duration longer than ten years: {text!r}", fix="use a shorter one")
    return int(seconds) if seconds.is_integer() else seconds


def _check_seconds(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= NO_LIMIT_SECONDS:
        raise ScheduleError(f"{name} must be a number of seconds greater than 0, at most ten years: {value!r}")


def _seconds_words(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds))


def _read_limit(text: str) -> float:
    """As `_read_seconds`, and `none` for no limit at all."""
    if text == "none":
        return NO_LIMIT_SECONDS
    try:
        return _read_seconds(text)
    except ScheduleError as error:
        raise ScheduleError(error.says, fix="; ".join(filter(None, (error.fix, "none sets no limit")))) from None


def _limit_words(seconds: float) -> str:
    return "none" if seconds >= NO_LIMIT_SECONDS else _seconds_words(seconds)


def _read_count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ScheduleError(f"not a whole number: {text!r}", fix="write it in digits, such as 3") from None


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise ScheduleError(f"{name} must be a whole number from 0 to 1000, not {value!r}")


def _read_zone(text: str) -> str:
    try:
        return parse_zone(text).key
    except ScheduleError:
        hint = nearest(text, sorted(available_timezones()))
        fix = f"{hint}use a name like Europe/Berlin or America/Denver"
        raise ScheduleError(f"unknown time zone: {text!r}", fix=fix) from None


def _check_zone(_: str, value: str | None) -> None:
    if value is not None:
        parse_zone(value)


def _check_on_interrupt(_: str, value: object) -> None:
    _on_interrupt(value)


def _check_channel(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ScheduleError(f"{name} must be the name of a channel, not {value!r}")


def _read_config(text: str) -> dict[str, Any]:
    return json_object(text, "the text")


def _check_config(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ScheduleError(f"{name} must be a JSON object, not {value!r}")


def _check_machine(key: str, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[\w.-]{1,63}", value)):
        raise ScheduleError(f"{key} must be the name of a machine, or any: {value!r:.80}")


def _on_interrupt(value: object) -> OnInterrupt:
    try:
        return OnInterrupt(str(value))
    except ValueError:
        raise ScheduleError(f"policy: on_interrupt must be retry or skip, not {value!r}") from None


_CHANNEL = PolicyKind("CHANNEL", str, str, _check_channel)
_CONFIG = PolicyKind("JSON", _read_config, json.dumps, _check_config)
_ZONE = PolicyKind("ZONE", _read_zone, str, _check_zone)
_DURATION = PolicyKind("DURATION", _read_seconds, _seconds_words, _check_seconds)
_LIMIT = PolicyKind("DURATION|none", _read_limit, _limit_words, _check_seconds, takes_none=True)
_COUNT = PolicyKind("N", _read_count, str, _check_count)
_CHOICES = tuple(str(action) for action in OnInterrupt)
_INTERRUPT = PolicyKind("ACTION", lambda text: str(_on_interrupt(text)), str, _check_on_interrupt, _CHOICES)
_MACHINE = PolicyKind("MACHINE", str, str, _check_machine)

POLICY_OPTIONS = (
    PolicyOption("timezone", "timezone", _ZONE, "Read local times in this zone, such as Europe/Berlin."),
    PolicyOption(
        "timeout", "timeout_seconds", _LIMIT, "Stop a run after this long; none: never; default: as all others."
    ),
    PolicyOption("retries", "retries", _COUNT, "Try a failed run again up to N times."),
    PolicyOption(
        "retry_delay", "retry_delay_seconds", _DURATION, "Wait this long before the first retry, then twice as long."
    ),
    PolicyOption("grace", "misfire_grace_seconds", _DURATION, "Do not start a run that is later than this."),
    PolicyOption("on_interrupt", "on_interrupt", _INTERRUPT, "What to do if the process dies during a run."),
    PolicyOption("alert_after", "alert_after_seconds", _DURATION, "Alert if it has not succeeded for this long."),
    PolicyOption("alert", "alert_channel", _CHANNEL, "Tell this channel of its failures and recoveries."),
    PolicyOption("alert_config", "alert_config", _CONFIG, "That channel's configuration, a JSON object."),
    PolicyOption("on", "on", _MACHINE, "In a shared database: run on this machine or label, or on any."),
)
"""A new option is a field of `Policy`, and a line here."""
