"""A card in Microsoft Teams by a workflow's webhook: `{webhook, title_template, body_template}`.

The webhook's URL is a secret, so a row can only name it: `"webhook": "env:NAME"`.
"""

from __future__ import annotations

from typing import Any

from jarvis_trio.delivery.host import Host, Sender
from jarvis_trio.delivery.message import BODY, Config, Message, template
from jarvis_trio.delivery.web import checked_url, post_json, secret_url

_DEFAULT = "env:JARVIS_TEAMS_WEBHOOK_URL"


def prepare(config: Config) -> Sender:
    """A sender to the webhook whose URL is in the secret that the row names."""
    title = template(config, "title_template", "$task_name: $status")
    body = template(config, "body_template", BODY)
    name = secret_url(config.get("webhook", _DEFAULT), "webhook", _DEFAULT)

    def send(message: Message, host: Host) -> str:
        url = checked_url(host.secrets.require(name), name)
        status = post_json(url, _card(message.line(title), message.text(body)), host, "the Teams workflow")
        return f"accepted by the Teams workflow (HTTP {status})"

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
