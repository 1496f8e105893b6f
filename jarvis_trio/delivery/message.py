"""What is told of a run, and the templates of a row that say it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from string import Template
from typing import Any, cast

from jarvis_trio.errors import DeliveryError
from jarvis_trio.jsontext import json_object
from jarvis_trio.text import shortened

Config = Mapping[str, Any]
"""A row's `delivery_config`, parsed. Keys that a channel does not know are left to whoever wrote them."""

TITLE = "$task_name: $status"
BODY = "$result"

_NO_RESULT = "(no result)"
# A Teams workflow takes 28 KB and a notification shows a few lines; the whole result is in `history`.
_LONGEST_TEXT = 4_000
_LONGEST_LINE = 200
# C0 and C1 controls but line feed and tab, DEL, and lone surrogates.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Message:
    """What a run has to say.

    `result` is the text as it is stored: JSON, plain, or None where there is none.
    `timestamp` is local ISO 8601 text.
    """

    task_name: str
    status: str
    result: str | None
    timestamp: str

    def values(self) -> dict[str, str]:
        """What `$task_name`, `$result`, `$status` and `$timestamp` stand for: readable, bounded and clean."""
        return {
            "task_name": one_line(self.task_name),
            "result": paragraph(readable(self.result)),
            "status": one_line(self.status),
            "timestamp": one_line(self.timestamp),
        }

    def line(self, template: Template) -> str:
        """The template filled in, as a title or a mail header."""
        return line(template.safe_substitute(self.values()))

    def text(self, template: Template) -> str:
        """The template filled in, as the body of a message."""
        return paragraph(template.safe_substitute(self.values()))


def read_config(text: str | None, what: str) -> Config:
    """The configuration that `text`, called `what`, holds as JSON; nothing there is an empty one.

    Raises DeliveryError, which does not show the text: an address in it can hold secrets.
    """
    try:
        return json_object(text, what, DeliveryError)
    except DeliveryError:
        raise DeliveryError(f'{what} is no JSON object such as {{"to": "me@example.org"}}; write it anew') from None


def template(config: Config, key: str, default: str) -> Template:
    """The template that `config` holds under `key`. Raises DeliveryError where that is no text."""
    text = config.get(key, default)
    if not isinstance(text, str):
        raise DeliveryError(f'{key} must be text such as "{default}", not {text!r}')
    return Template(text)


def clean(text: str) -> str:
    """`text` without control characters other than line ends and tabs, and without lone surrogates.

    A terminal obeys the former; the latter cannot be encoded as UTF-8, and JSON can hold them.
    """
    return _UNWANTED.sub("", text)


def one_line(text: str) -> str:
    """`text` cleaned and on one line, so that it cannot end a mail header and begin another."""
    return clean(" ".join(text.split()))  # str.split() also knows U+0085 and U+2028, as header parsers do


def line(text: str) -> str:
    """`text` cleaned, on one line, and at most 200 characters of it."""
    return shortened(one_line(text), _LONGEST_LINE)


def paragraph(text: str) -> str:
    """`text` cleaned, and at most 4,000 characters of it."""
    return shortened(clean(text), _LONGEST_TEXT)


def readable(result: str | None) -> str:
    """A stored result for people: JSON becomes `key: value` lines, nested parts indented, blank texts left out."""
    if result is None or not result.strip():
        return _NO_RESULT
    try:
        return "\n".join(_lines(json.loads(result))) or _NO_RESULT
    except (ValueError, RecursionError):  # plain text, JSON that was cut, or nested beyond reason
        return result.strip()


def _lines(value: object) -> list[str]:
    value = _opened(value)
    if isinstance(value, dict) and value:
        return [text for key, item in value.items() if not _is_blank(item) for text in _entry(f"{key}:", item)]
    if isinstance(value, list) and value:
        return [text for item in value for text in _item(*_lines(item))]
    return (value if isinstance(value, str) else json.dumps(value)).splitlines() or [""]


def _entry(label: str, value: object) -> list[str]:
    value = _opened(value)
    lines = _lines(value)
    if len(lines) == 1 and not (isinstance(value, dict | list) and value):
        return [f"{label} {lines[0]}".rstrip()]
    return [label, *(f"  {text}" for text in lines)]


def _opened(value: object) -> object:
    """What a text holds that is itself a JSON object or array, such as a command prints; else the value."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return cast(object, json.loads(value))
    return value


def _item(first: str = "", *others: str) -> list[str]:
    return [f"- {first}".rstrip(), *(f"  {text}" for text in others)]


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
