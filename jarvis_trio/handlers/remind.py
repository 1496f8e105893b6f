"""The handler `remind`: the task's channel tells a person its text, `{"text": "..."}`."""

from __future__ import annotations

from jarvis_trio.errors import HandlerError
from jarvis_trio.models import HandlerContext, ScheduledTask
from jarvis_trio.notation.jsontext import json_object


def remind(task: ScheduledTask, context: HandlerContext) -> str:
    """Return the text. Raises HandlerError if there is none."""
    text = json_object(task.handler_config, "handler_config", HandlerError).get("text")
    if not isinstance(text, str) or not text.strip():
        raise HandlerError("a reminder needs a text", fix='write it like {"text": "Call Ada"}')
    return text
