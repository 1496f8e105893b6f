"""The border of delivery: names, checks, what comes out of it, and what its import costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jarvis_trio
from jarvis_trio.delivery import CHANNEL_NAMES, Channels
from jarvis_trio.delivery import notification as notification_module
from jarvis_trio.delivery.host import Host
from jarvis_trio.errors import DeliveryError
from tests.support.delivery_fakes import MESSAGE

ROOT = Path(jarvis_trio.__file__).parents[1]
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "delivery.md"
CHANNELS = Channels({}, None)


def examples() -> dict[str, list[dict[str, Any]]]:
    """The configurations that the documentation shows, by channel."""
    parts = re.split(r"^## `(\w+)`$", DOCUMENTATION.read_text(), flags=re.MULTILINE)
    return {
        channel: [json.loads(example) for example in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)]
        for channel, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_channel_is_documented() -> None:
    assert set(examples()) == set(CHANNEL_NAMES)


@pytest.mark.parametrize("channel", CHANNEL_NAMES)
def test_every_example_of_the_documentation_is_a_configuration_that_works(channel: str) -> None:
    assert examples()[channel]
    for config in examples()[channel]:
        CHANNELS.check(channel, config)


@pytest.mark.parametrize("channel", CHANNEL_NAMES)
def test_keys_that_a_channel_does_not_know_are_left_alone(channel: str) -> None:
    CHANNELS.check(channel, {**examples()[channel][0], "target": "Bob", "auto_send": True, "theirs": {"a": 1}})


@pytest.mark.parametrize(
    ("channel", "config", "named"),
    [
        ("notification", {"title_template": 3}, "title_template"),
        ("notification", {"body_template": ["a"]}, "body_template"),
        ("notification", {"sound": 7}, "sound"),
        ("email", {}, "to"),
        ("email", {"to": []}, "to"),
        ("email", {"to": [1]}, "to"),
        ("email", {"to": "nobody"}, "nobody"),
        ("email", {"to": "me@example.org\nBcc: all@example.org"}, "to"),
        ("email", {"to": "me@example.org", "subject_template": None}, "subject_template"),
        ("imessage", {}, "nobody is named to send to; write it like"),
        ("imessage", {"recipient": " "}, "recipient"),
        ("imessage", {"recipient": 15550100}, "recipient"),
        ("teams", {"webhook": 5}, "webhook"),
        ("webhook", {"url": "https://example.org"}, "url"),
        ("webhook", {"fields": {}}, "fields"),
        ("webhook", {"fields": {"text": 5}}, "text"),
        ("webhook", {"append": {"end": "/end"}}, "append"),
        ("webhook", {"append": {"start": "/a b"}}, "append"),
        ("apprise", {}, "urls"),
        ("apprise", {"urls": []}, "urls"),
        ("apprise", {"urls": [""]}, "urls"),
        ("apprise", {"urls": {"a": 1}}, "urls"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_in_one_line(
    channel: str, config: dict[str, Any], named: str
) -> None:
    with pytest.raises(DeliveryError) as caught:
        CHANNELS.check(channel, config)
    assert str(caught.value).startswith(f"{channel}: ")
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("channel", "hint"),
    [("pigeon", ""), ("../email", "did you mean 'email'? "), ("message", "did you mean 'imessage'? ")],
)
def test_an_unknown_channel_is_refused_with_the_nearest_and_all_that_there_are(channel: str, hint: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        CHANNELS.check(channel, {})
    there_are = ", ".join(CHANNEL_NAMES)
    assert str(caught.value) == f"unknown channel {channel!r}; {hint}use one of {there_are}"


def test_a_webhook_url_in_a_row_is_refused_and_not_repeated() -> None:
    with pytest.raises(DeliveryError, match="name of a secret") as caught:
        CHANNELS.check("teams", {"webhook": "https://example.org/workflows/0123456789abcdef"})
    assert "0123456789abcdef" not in str(caught.value)


class MuteError(Exception):
    """An error that fails again when it is to say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")


BREAKAGES = [ZeroDivisionError("a\nb\x1b[2J"), SystemExit(3), RecursionError(), MemoryError(), MuteError()]


@pytest.mark.law(4)
@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: type(breakage).__name__)
def test_law_4_whatever_breaks_inside_a_channel_comes_out_as_a_delivery_error(
    breakage: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise breakage

    monkeypatch.setattr(notification_module, "show", broken)
    with pytest.raises(DeliveryError, match=f"^notification: {type(breakage).__name__}[^\n\x1b]*$") as caught:
        CHANNELS.send("notification", {}, MESSAGE)
    assert caught.value.__context__ is None  # a logged traceback would show the first error, secrets and all


def test_a_secret_that_is_longer_than_any_error_is_not_shown_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "a1B2" * 400

    def refused(host: Host, *_: object) -> str:
        raise ValueError(f"a header cannot be {host.secrets.require('TOKEN')}")

    monkeypatch.setattr(notification_module, "show", refused)
    with pytest.raises(DeliveryError, match=r"ValueError: a header cannot be \*\*\*$"):
        Channels({"TOKEN": secret}, None).send("notification", {}, MESSAGE)


def test_a_person_who_interrupts_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(notification_module, "show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CHANNELS.notify("title", "body")


def test_importing_delivery_imports_no_channel_and_no_network_module() -> None:
    heavy = "smtplib, email, urllib.request, http.client, ssl, subprocess, apprise, jarvis_trio.delivery.email"
    program = (
        "import sys, jarvis_trio.delivery as d; d.Channels({}, None);"
        f"print([m for m in {heavy.split(', ')!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
