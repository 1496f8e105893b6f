"""A JSON text posted to a URL: `{url, fields, append}`. Enough for ntfy, Slack and healthchecks.

The URL is a secret, so a row can only name it: `"url": "env:NAME"`.
"""

from __future__ import annotations

from collections.abc import Mapping

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, STARTED, Config, Message, Wording, template
from jarvis_trio.delivery.web import checked_url, post_json, secret_url
from jarvis_trio.errors import DeliveryError

_DEFAULT = "env:JARVIS_WEBHOOK_URL"
_TEXT = {"text": f"$task_name: $status\n{BODY}"}
_MOMENTS = ("start", "success", "failure")


def prepare(config: Config) -> Sender:
    """A sender to the URL in the secret that the row names.

    `fields` are the templates of the JSON object, by default `{"text": ...}`. `append` says what
    comes after the URL at the `start`, at a `success` and at a `failure`, such as `/fail`.
    """
    name = secret_url(config.get("url", _DEFAULT), "url", _DEFAULT)
    fields = _fields(config.get("fields", _TEXT))
    append = _append(config.get("append", {}))

    def send(message: Message, host: Host) -> str:
        url = checked_url(host.secrets.require(name), name) + append.get(_moment(message), "")
        value = {key: message.text(wording) for key, wording in fields.items()}
        return f"accepted by {name} (HTTP {post_json(url, value, host, name)})"

    return send


def _moment(message: Message) -> str:
    if message.status == STARTED:
        return "start"
    return "success" if message.tells_success or message.status in ("well again", "scheduled again") else "failure"


def _fields(value: object) -> dict[str, Wording]:
    if not isinstance(value, Mapping) or not value:
        fix = 'write them like {"title": "$task_name", "message": "$result"}'
        raise DeliveryError(f"fields must be a JSON object of templates, not {value!r}", fix=fix)
    return {str(key): template(value, key, "") for key in value}


def _append(value: object) -> dict[str, str]:
    is_valid = isinstance(value, Mapping) and all(
        moment in _MOMENTS and isinstance(text, str) and text.isascii() and text.isprintable() and " " not in text
        for moment, text in value.items()
    )
    if not isinstance(value, Mapping) or not is_valid:
        fix = 'write it like {"start": "/start", "failure": "/fail"}'
        raise DeliveryError(
            f"append must say what comes after the URL at {', '.join(_MOMENTS)}, not {value!r}", fix=fix
        )
    return dict(value)
