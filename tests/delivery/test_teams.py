"""Teams cards, against a real HTTP server on loopback."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import pytest

from jarvis_trio.delivery import Channels, Message
from jarvis_trio.errors import DeliveryError
from tests.support.delivery_fakes import HOSTILE, MESSAGE, WebServer, serving, silent_server

PATH = "/workflows/0123456789abcdef/triggers/manual/paths/invoke?sig=Zm9vYmFy"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def server(**options: Any) -> AbstractContextManager[WebServer]:
    return serving(WebServer(**options))


def channels(url: str, name: str = "JARVIS_TEAMS_WEBHOOK_URL", timeout_seconds: float = 20) -> Channels:
    return Channels({name: url}, None, timeout=timedelta(seconds=timeout_seconds))


def texts(web: WebServer) -> list[str]:
    [post] = web.posts
    [attachment] = json.loads(post["body"])["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    return [block["inlines"][0]["text"] for block in attachment["content"]["body"]]


def test_a_card_is_posted_to_the_webhook_of_the_environment() -> None:
    with server() as web:
        account = channels(web.url + PATH).send("teams", {}, MESSAGE)
    assert account == "accepted by the Teams workflow (HTTP 202)"
    assert texts(web) == ["backup: executed", "files: 12"]
    assert web.posts[0]["path"] == PATH
    assert web.posts[0]["headers"]["Content-Type"].startswith("application/json")


def test_a_row_can_name_another_webhook_and_templates() -> None:
    config = {"webhook": "$OPS", "title_template": "$status", "body_template": "$task_name at $timestamp"}
    with server() as web:
        channels(web.url, "OPS").send("teams", config, MESSAGE)
    assert texts(web) == ["executed", f"backup at {MESSAGE.timestamp}"]


@pytest.mark.parametrize("text", [*HOSTILE, "[link](https://example.org) **bold** <b>", 'a"}]}'])
def test_no_text_becomes_a_part_of_the_card_s_format(text: str) -> None:
    with server() as web:
        channels(web.url).send("teams", {}, Message(text, "executed", text, "now"))
    assert texts(web) == [f"{text}: executed", text]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_refusal_is_told_without_the_url(status: int) -> None:
    with server(status=status) as web, pytest.raises(DeliveryError, match=f"refused it: HTTP {status}") as caught:
        channels(web.url + PATH).send("teams", {}, MESSAGE)
    assert_secret(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    refusal = pytest.raises(DeliveryError, match=f"HTTP {status}")
    with server() as other, server(status=status, location=other.url) as web, refusal:
        channels(web.url).send("teams", {}, MESSAGE)
    assert other.posts == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://example.org{PATH}",
        f"file:///etc/hosts{PATH}",
        f"ftp://127.0.0.1{PATH}",
        f"http://127.0.0.1@example.org{PATH}",
        f"http://[bad{PATH}",
        PATH,
    ],
)
def test_only_https_is_allowed_to_leave_the_machine(url: str) -> None:
    with pytest.raises(DeliveryError, match="JARVIS_TEAMS_WEBHOOK_URL must be a URL that starts with https") as caught:
        channels(url).send("teams", {}, MESSAGE)
    assert_secret(caught.value)


@pytest.mark.parametrize("port_and_path", [f":1 x{PATH}", f":1{PATH} x", f":0123456789abcdef{PATH}", f"{PATH}\x7f"])
def test_a_malformed_url_is_an_error_without_the_secret(port_and_path: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        channels(f"https://127.0.0.1{port_and_path}", timeout_seconds=1).send("teams", {}, MESSAGE)
    assert_secret(caught.value)


def test_a_webhook_that_is_not_set_is_named() -> None:
    with pytest.raises(DeliveryError, match=r"^teams: JARVIS_TEAMS_WEBHOOK_URL is not set; set it in the environment$"):
        Channels({}, None).send("teams", {}, MESSAGE)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with silent_server() as port:
        pass
    with pytest.raises(DeliveryError, match=r"cannot reach the Teams workflow: .*refused") as caught:
        channels(f"http://127.0.0.1:{port}{PATH}").send("teams", {}, MESSAGE)
    assert_secret(caught.value)


def test_a_server_that_says_nothing_is_left_after_the_timeout() -> None:
    with silent_server() as port, pytest.raises(DeliveryError, match="timed out"):
        channels(f"http://127.0.0.1:{port}", timeout_seconds=0.3).send("teams", {}, MESSAGE)


def assert_secret(error: BaseException) -> None:
    for part in ("0123456789abcdef", "Zm9vYmFy"):
        assert part not in str(error)
