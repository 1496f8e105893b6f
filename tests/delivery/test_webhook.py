"""The channel `webhook`, against a real HTTP server on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jarvis_trio.delivery import Channels, Message
from jarvis_trio.errors import DeliveryError
from tests.support.delivery_fakes import MESSAGE, WebServer, serving


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def posted(config: dict[str, Any], message: Message = MESSAGE, path: str = "/hook") -> tuple[str, Any]:
    """The path that a message was posted to, and the JSON."""
    with serving(WebServer(status=200)) as web:
        account = Channels({"JARVIS_WEBHOOK_URL": web.url + path}, None).send("webhook", config, message)
    assert account == "accepted by JARVIS_WEBHOOK_URL (HTTP 200)"
    [post] = web.posts
    return post["path"], json.loads(post["body"])


def test_by_default_it_posts_what_slack_takes() -> None:
    assert posted({}) == ("/hook", {"text": "backup: executed\nfiles: 12"})


def test_a_row_names_the_fields() -> None:
    fields = {"topic": "jarvis", "title": "$task_name", "message": "$result"}
    assert posted({"fields": fields})[1] == {"topic": "jarvis", "title": "backup", "message": "files: 12"}


@pytest.mark.parametrize(
    ("status", "path"),
    [
        ("started", "/id/start"),
        ("executed", "/id"),
        ("well again", "/id"),
        ("error", "/id/fail"),
        ("stale", "/id/fail"),
    ],
)
def test_what_comes_after_the_url_tells_a_start_and_a_failure(status: str, path: str) -> None:
    config = {"append": {"start": "/start", "failure": "/fail"}}
    assert posted(config, Message("backup", status, None, "now"), "/id")[0] == path


def test_the_url_stands_in_no_error() -> None:
    with serving(WebServer(status=500)) as web:
        channels = Channels({"JARVIS_WEBHOOK_URL": f"{web.url}/hunter2"}, None)
        with pytest.raises(DeliveryError, match="JARVIS_WEBHOOK_URL refused it: HTTP 500") as caught:
            channels.send("webhook", {}, MESSAGE)
    assert "hunter2" not in str(caught.value)


def test_what_stays_on_this_machine_goes_by_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the port of `discard`, where nobody listens
    assert posted({})[0] == "/hook"


def test_a_field_that_is_no_text_is_refused_with_an_example() -> None:
    with pytest.raises(DeliveryError, match=r'priority must be text, not 5; write it like "\$result"'):
        Channels({}, None).check("webhook", {"fields": {"priority": 5}})
