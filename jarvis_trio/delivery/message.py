"""What is told about a run, and the templates of a row that say it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from string import Template
from typing import Any, NamedTuple, cast

from jarvis_trio.errors import DeliveryError
from jarvis_trio.notation.jsontext import json_object
from jarvis_trio.notation.text import as_shown, shortened

Config = Mapping[str, Any]
"""A row's `delivery_config`, parsed. A channel ignores the keys that it does not know."""

BODY = "$result"

_NO_RESULT = "(no result)"
STARTED = "started"
"""The status of a message about the start of a run, which goes only to those who ask for it."""

LONGEST_TEXT = 4_000
"""Characters of a body. A Teams workflow takes 28 KB, and a notification shows a few lines.

Mails are sent whole.
"""

_LONGEST_LINE = 200
# C0 and C1 controls except line feed and tab, DEL, and lone surrogates.
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Message(NamedTuple):
    """What a run has to say.

    `result` is the text as it is stored: JSON, plain, or None if there is none.
    `timestamp` is local ISO 8601 text.
    """

    task_name: str
    status: str
    result: str | None
    timestamp: str

    @property
    def tells_success(self) -> bool:
        """Whether it tells of a run that ended well."""
        return self.status == "executed"

    def values(self, longest: int | None = LONGEST_TEXT) -> dict[str, str]:
        """The values of `$task_name`, `$result`, `$status` and `$timestamp`: bounded and clean."""
        return {
            "task_name": one_line(self.task_name),
            "result": paragraph(readable(self.result), longest),
            "status": one_line(self.status),
            "timestamp": one_line(self.timestamp),
        }

    def line(self, wording: Wording) -> str:
        """The template filled in, as a title or a mail header."""
        return line(wording.template_for(self).safe_substitute(self.values()))

    def text(self, wording: Wording, longest: int | None = LONGEST_TEXT) -> str:
        """The template filled in, as the body of a message; at most `longest` characters of it."""
        return paragraph(wording.template_for(self).safe_substitute(self.values(longest)), longest)


class Wording(NamedTuple):
    """A row's template; or the defaults, one of which is for what did not end well."""

    success: Template
    otherwise: Template

    def template_for(self, message: Message) -> Template:
        """The template for this message."""
        return self.success if message.tells_success else self.otherwise


def read_config(text: str | None, what: str) -> Config:
    """The configuration that `text`, called `what`, holds as JSON; nothing there is an empty one.

    Raises DeliveryError, which does not show the text: an address in it can hold secrets.
    """
    try:
        return json_object(text, what, DeliveryError)
    except DeliveryError:
        raise DeliveryError(f"{what} is not a JSON object", fix='write it like {"to": "me@example.org"}') from None


def wants_start(text: str | None) -> bool:
    """Whether the configuration in `text` (JSON) asks for a message at the start of a run."""
    if text is None or '"start"' not in text:
        return False
    with suppress(DeliveryError):
        append = read_config(text, "delivery_config").get("append")
        return isinstance(append, Mapping) and "start" in append
    return False


def template(config: Config, key: str, default: str, otherwise: str | None = None) -> Wording:
    """The template that `config` holds under `key`.

    Without one it is `default`, and for what did not end well `otherwise`. Raises
    DeliveryError if it is not text.
    """
    text = config.get(key, default)
    if key not in config:
        return Wording(Template(default), Template(otherwise or default))
    if not isinstance(text, str):
        raise DeliveryError(f"{key} must be text, not {text!r}", fix=f'write it like "{default or BODY}"')
    return Wording(Template(text), Template(text))


def title(config: Config, key: str, prefix: str) -> Wording:
    """The template of a title: `PREFIX: NAME` by default, with the status unless all went well."""
    return template(config, key, f"{prefix}: $task_name", f"{prefix}: $task_name: $status")


def clean(text: str) -> str:
    """`text` as a terminal shows it in the end, without any character that acts on one.

    Nor has it lone surrogates: they cannot be encoded as UTF-8, and JSON can hold them.
    """
    return _UNWANTED.sub("", as_shown(text))


def one_line(text: str) -> str:
    """`text` cleaned and on one line, so that it cannot end a mail header and begin another."""
    # str.split() also knows U+0085 and U+2028, as header parsers do; clean() would take the former.
    return clean(" ".join(as_shown(text).split()))


def line(text: str) -> str:
    """`text` cleaned, on one line, and at most 200 characters of it."""
    return shortened(one_line(text), _LONGEST_LINE)


def paragraph(text: str, longest: int | None = LONGEST_TEXT) -> str:
    """`text` cleaned, and at most `longest` characters of it; None for all of it."""
    return clean(text) if longest is None else shortened(clean(text), longest)


def readable(result: str | None) -> str:
    """A stored result for people.

    JSON becomes `key: value` lines, with nested parts indented and blank texts left out. Of a
    briefing (`{"handler": ..., "brief": MARKDOWN}`) only the text is shown.
    """
    if result is None or not result.strip():
        return _NO_RESULT
    try:
        value = json.loads(result)
        if isinstance(value, dict) and "handler" in value and isinstance(value.get("brief"), str):
            return value["brief"].strip() or _NO_RESULT
        return "\n".join(_lines(value)) or _NO_RESULT
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
    """The JSON object or array in a text, as a command may print one; else the value itself."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return cast(object, json.loads(value))
    return value


def _item(first: str = "", *others: str) -> list[str]:
    return [f"- {first}".rstrip(), *(f"  {text}" for text in others)]


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
