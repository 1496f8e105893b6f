"""JSON in and out of rows: what is refused, and how a long result is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jarvis_trio.errors import DeliveryError, ScheduleError
from jarvis_trio.notation.jsontext import json_object, json_value, result_text


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_no_text_is_an_empty_object(text: str | None) -> None:
    assert json_object(text, "x") == {}


@pytest.mark.parametrize("text", ["{", "5", '"{}"', "null", '{"a": ' * 50_000, "1" * 5000, "\x00"])
def test_what_is_not_a_json_object_is_refused_by_name(text: str) -> None:
    with pytest.raises(ScheduleError, match="handler_config"):
        json_object(text, "handler_config")


def test_the_caller_chooses_the_kind_of_error() -> None:
    with pytest.raises(DeliveryError, match="delivery_config"):
        json_object("{", "delivery_config", DeliveryError)


@pytest.mark.parametrize(
    ("text", "value"), [(None, None), ('{"n": 1}', {"n": 1}), ("plain", "plain"), ("[" * 9, "[" * 9), ("NaN", "NaN")]
)
def test_a_stored_result_is_read_back(text: str | None, value: object) -> None:
    assert json_value(text) == value


@pytest.mark.parametrize("output", ["Ж" * 5_500, "\0" * 10_000, "x" * 10_000, '"' * 20_000])
def test_long_texts_are_cut_and_the_structure_stays(output: str) -> None:
    text = result_text({"exit_code": 3, "stdout": output, "stderr": output, "lines": [output]}, 10_000)
    kept = json.loads(text)
    assert len(text) <= 10_000
    assert kept["exit_code"] == 3
    assert all(f"({len(output):,} characters)" in part for part in (kept["stdout"], kept["stderr"], *kept["lines"]))


def test_only_what_is_long_is_cut() -> None:
    kept = json.loads(result_text({"note": "n" * 1_000, "stdout": "x" * 50_000}, 10_000))
    assert kept["note"] == "n" * 1_000


@pytest.mark.parametrize("result", [list(range(10_000)), {str(key): "" for key in range(10_000)}, "x" * 20_000])
def test_what_cannot_be_shortened_keeps_its_beginning(result: Any) -> None:
    kept = json.loads(result_text(result, 10_000))
    assert (kept["cut"], len(kept["head"])) == (True, 10_000)
    assert kept["length"] > 10_000
