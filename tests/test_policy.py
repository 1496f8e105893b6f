"""Unit tests: what a task says of its own runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jarvis_trio.errors import ScheduleError
from jarvis_trio.policy import NO_LIMIT_SECONDS, POLICY_OPTIONS, OnInterrupt, Policy

OPTIONS = {option.name: option.kind for option in POLICY_OPTIONS}


@pytest.mark.parametrize("text", [None, "", "  ", "{}", '{"timezone": null}', '{"of another program": 1}'])
def test_no_policy_is_all_defaults(text: str | None) -> None:
    assert Policy.from_json(text) == Policy()


def test_a_policy_survives_the_column() -> None:
    policy = Policy("Europe/Berlin", 30, 3, 1.5, 60, OnInterrupt.SKIP, 3600)
    text = policy.to_json()
    assert text is not None
    assert Policy.from_json(text) == policy
    assert json.loads(text)["on_interrupt"] == "skip"


def test_a_policy_of_defaults_needs_no_text() -> None:
    assert Policy().to_json() is None


@pytest.mark.law(4)
@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "nonsense",
        "[" * 100_000,
        '{"timezone": "Mars/Olympus"}',
        '{"timezone": 5}',
        '{"timezone": ["UTC"]}',
        '{"retries": -1}',
        '{"retries": 1.5}',
        '{"retries": true}',
        '{"retries": "3"}',
        '{"retries": 1001}',
        '{"timeout_seconds": 0}',
        '{"timeout_seconds": -1}',
        '{"timeout_seconds": true}',
        '{"timeout_seconds": "30"}',
        '{"timeout_seconds": NaN}',
        '{"timeout_seconds": Infinity}',
        '{"misfire_grace_seconds": 1' + "0" * 400 + "}",
        '{"retry_delay_seconds": [1]}',
        '{"on_interrupt": "perhaps"}',
        '{"on_interrupt": {}}',
        '{"alert_after_seconds": 1e30}',
        '{"alert_channel": 5}',
        '{"alert_channel": ""}',
        '{"alert_config": "to me"}',
        '{"on": 5}',
        '{"on": "two words"}',
        '{"on": ""}',
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        Policy.from_json(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", 'policy must be a JSON object, such as {"name": "value"}, not \'[]\''),
        (
            '{"timeout_seconds": 0}',
            "policy: timeout_seconds must be a number of seconds greater than 0, at most ten years: 0",
        ),
        ('{"retries": 1001}', "policy: retries must be a whole number from 0 to 1000, not 1001"),
        ('{"on_interrupt": "perhaps"}', "policy: on_interrupt must be retry or skip, not 'perhaps'"),
        ('{"alert_channel": 5}', "policy: alert_channel must be the name of a channel, not 5"),
        ('{"alert_config": "to me"}', "policy: alert_config must be a JSON object, not 'to me'"),
        ('{"on": "two words"}', "policy: on must be the name of a machine, or any: 'two words'"),
    ],
)
def test_a_refusal_names_the_key_what_is_allowed_and_what_was_found(text: str, says: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        Policy.from_json(text)
    assert str(refused.value) == says


def test_the_least_and_the_most_that_is_allowed_is_taken() -> None:
    for retries in (0, 1000):
        Policy(retries=retries)
    for seconds in (0.5, NO_LIMIT_SECONDS):
        Policy(timeout_seconds=seconds)
    for machine in ("a", "my-laptop.local_2", "m" * 63):
        Policy(on=machine)


def test_a_row_that_says_what_to_do_if_interrupted_is_read_as_that_action() -> None:
    assert Policy.from_json('{"on_interrupt": "retry"}').on_interrupt is OnInterrupt.RETRY


@pytest.mark.parametrize(
    ("option", "typed", "value"),
    [
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("timeout", "none", NO_LIMIT_SECONDS),
        ("timeout", "1m30s", 90),
        ("timeout", "1.5s", 1.5),
        ("retries", "3", 3),
        ("grace", "3660d", NO_LIMIT_SECONDS),
        ("on_interrupt", "skip", "skip"),
        ("alert", "email", "email"),
        ("alert_config", '{"to": "me"}', {"to": "me"}),
        ("on", "laptop", "laptop"),
    ],
)
def test_what_a_person_types_is_read_and_said_in_the_same_words(option: str, typed: str, value: Any) -> None:
    read = OPTIONS[option].read(typed)
    assert (read, type(read)) == (value, type(value))
    assert OPTIONS[option].words(read) == typed


@pytest.mark.parametrize(
    ("option", "typed", "says", "fix"),
    [
        ("grace", "3660d1s", "duration longer than ten years: '3660d1s'", "use a shorter one"),
        ("timeout", "3661d", "duration longer than ten years: '3661d'", "use a shorter one; none sets no limit"),
        ("retries", "many", "not a whole number: 'many'", "write it in digits, such as 3"),
        (
            "timezone",
            "Europe/Berlim",
            "unknown time zone: 'Europe/Berlim'",
            "did you mean 'Europe/Berlin'? use a name like Europe/Berlin or America/Denver",
        ),
        ("alert_config", "[]", 'the text must be a JSON object, such as {"name": "value"}, not \'[]\'', ""),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_fix(option: str, typed: str, says: str, fix: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        OPTIONS[option].read(typed)
    assert (refused.value.says, refused.value.fix) == (says, fix)
