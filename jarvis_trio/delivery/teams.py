"""A card in Microsoft Teams by a workflow's webhook: `{webhook, title_template, body_template}`.

The webhook's URL is a secret, so a row can only name it: `"webhook": "env:NAME"`.
"""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from jarvis_trio.delivery.host import Host, Sender, is_loopback
from jarvis_trio.delivery.message import BODY, TITLE, Config, Message, template
from jarvis_trio.delivery.secrets import reference
from jarvis_trio.errors import DeliveryError

_DEFAULT = "env:JARVIS_TEAMS_WEBHOOK_URL"


def prepare(config: Config) -> Sender:
    """A sender to the webhook whose URL is in the secret that the row names."""
    title = template(config, "title_template", TITLE)
    body = template(config, "body_template", BODY)
    name = reference(str(config.get("webhook", _DEFAULT)))
    if name is None:
        # Not the value: it would be the secret.
        raise DeliveryError(f'webhook must be the name of a secret such as "{_DEFAULT}", not the URL itself')

    def send(message: Message, host: Host) -> str:
        url = _checked(host.secrets.require(name), name)
        return _post(url, _card(message.line(title), message.text(body)), host.timeout_seconds)

    return send


def _card(title: str, body: str) -> dict[str, Any]:
    # Text runs, as a TextBlock would read the result as Markdown, links and all.
    runs = [{"type": "TextRun", "text": title, "weight": "Bolder"}], [{"type": "TextRun", "text": body}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "RichTextBlock", "inlines": inlines} for inlines in runs],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _checked(url: str, name: str) -> str:
    try:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        allowed = False
    if not allowed:
        raise DeliveryError(f"{name} must be a URL that starts with https://")
    return url


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Lets a redirect end as an error: the card must not go to another place, nor in the clear."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def _post(url: str, card: dict[str, Any], timeout_seconds: float) -> str:
    request = urllib.request.Request(
        url, json.dumps(card, ensure_ascii=False).encode(), {"Content-Type": "application/json; charset=utf-8"}
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        response: HTTPResponse
        with opener.open(request, timeout=timeout_seconds) as response:
            return f"accepted by the Teams workflow (HTTP {response.status})"
    except HTTPError as error:
        with error:
            raise DeliveryError(f"the Teams workflow refused it: HTTP {error.code} {error.reason}") from None
    except OSError as error:
        raise DeliveryError(f"cannot reach the Teams workflow: {error}") from None
