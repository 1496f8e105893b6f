"""What a message says: templates, readable results, bounds, and nothing that acts on a terminal."""

from __future__ import annotations

import json
from string import Template

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jarvis_trio.delivery.message import Message, Wording, read_config, readable, title
from jarvis_trio.errors import DeliveryError


def worded(template: str) -> Wording:
    return Wording(Template(template), Template(template))


ALL = worded("$task_name|$status|$result|$timestamp")


def message(result: str | None = "done", name: str = "backup") -> Message:
    return Message(name, "executed", result, "2026-11-21T09:00:00+01:00")


def test_the_four_values_fill_a_template() -> None:
    assert message().text(ALL) == "backup|executed|done|2026-11-21T09:00:00+01:00"


def test_names_that_a_template_invents_stay_as_they_are() -> None:
    assert message().text(worded("$who pays $5 of ${task_name}")) == "$who pays $5 of backup"


def test_a_value_is_never_taken_for_a_template() -> None:
    assert message("$status", name="$result").text(ALL) == "$result|executed|$status|2026-11-21T09:00:00+01:00"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, "(no result)"),
        ("  ", "(no result)"),
        ("plain text\nof two lines", "plain text\nof two lines"),
        ('"text in JSON"', "text in JSON"),
        ("42", "42"),
        ("{}", "{}"),
        ('{"status": "ok", "files": 12, "late": false}', "status: ok\nfiles: 12\nlate: false"),
        ('{"disk": {"free": 1.5, "name": null}}', "disk:\n  free: 1.5\n  name: null"),
        ('{"hosts": ["a", {"b": 1, "c": []}]}', "hosts:\n  - a\n  - b: 1\n    c: []"),
        ('{"one": ["a"], "two": {"b": 1}}', "one:\n  - a\ntwo:\n  b: 1"),
        ('{"output": "one\\ntwo"}', "output:\n  one\n  two"),
        ('{"exit_code": 0, "stdout": "done\\n", "stderr": ""}', "exit_code: 0\nstdout: done"),
        ('{"disk": {"note": "\\n"}, "hosts": [{"note": ""}, ""]}', "disk:\nhosts:\n  -\n  -"),
        ('{"output": ""}', "(no result)"),
        ('""', "(no result)"),
        ('{"stdout": "{\\"free\\": {\\"/\\": 12}, \\"late\\": []}\\n"}', "stdout:\n  free:\n    /: 12\n  late: []"),
        ('{"stdout": "[1] is no JSON"}', "stdout: [1] is no JSON"),
        ('{"cut": "in the mid', '{"cut": "in the mid'),
        ("[" * 100_000, "[" * 100_000),
        ('{"status": "ok", "handler": "morning_brief", "brief": "# Today\\n- rain\\n"}', "# Today\n- rain"),
    ],
)
def test_a_result_is_readable(stored: str | None, shown: str) -> None:
    assert readable(stored) == shown


def test_json_nested_beyond_reason_is_shown_as_it_is() -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900  # the parser takes it, but not a recursion over its lines
    assert readable(deep) == deep


def test_a_result_of_any_size_makes_a_bounded_message() -> None:
    text = message(json.dumps({"output": "x" * 1_000_000})).text(worded("$result $result $result"))
    assert len(text) == 4_000
    assert text.endswith("…")
    assert len(message(name="n" * 10_000).line(ALL)) == 200


@settings(max_examples=60)
@given(st.text(), st.text(), st.one_of(st.none(), st.text(), st.recursive(st.text(), st.lists).map(json.dumps)))
def test_whatever_a_row_holds_the_message_can_be_sent(name: str, template: str, result: str | None) -> None:
    told = Message(name, "error", result, "now")
    text, line = told.text(worded(template + "$result")), told.line(worded(template + "$task_name $result"))
    for character in "\0\x07\x1b\r\x9b\x7f":
        assert character not in text + line
    assert len(line.splitlines()) <= 1
    text.encode()
    line.encode()


def test_a_lone_surrogate_from_json_is_dropped() -> None:
    assert message('{"text": "a\\ud800b"}').text(worded("$result")) == "text: ab"


def test_a_configuration_is_a_json_object_or_nothing() -> None:
    assert read_config('{"to": "me@example.org"}', "delivery_config") == {"to": "me@example.org"}
    assert read_config(None, "delivery_config") == {}


@pytest.mark.parametrize("text", ['{"urls": "json://me:hunter2@example.org"', '["json://me:hunter2@example.org"]'])
def test_what_is_wrong_with_a_configuration_is_told_without_its_text(text: str) -> None:
    with pytest.raises(DeliveryError, match=r"^delivery_config is not a JSON object; write it like \{.*\}$") as caught:
        read_config(text, "delivery_config")
    assert "hunter2" not in str(caught.value)


def test_a_default_title_names_the_task_and_what_did_not_end_well() -> None:
    heading = title({}, "title_template", "Task")
    assert message().line(heading) == "Task: backup"
    assert Message("backup", "error", None, "now").line(heading) == "Task: backup: error"
