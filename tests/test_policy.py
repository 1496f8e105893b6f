"""Unit tests: what a task says of its own runs."""

from __future__ import annotations

import json

import pytest

from jarvis_trio.errors import ScheduleError
from jarvis_trio.policy import OnInterrupt, Policy


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
