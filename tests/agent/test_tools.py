"""The tools as a model reads them: few bytes, plain words, kinds that a client can trust."""

from __future__ import annotations

import json

import jsonschema
import pytest

from jarvis_trio.agent.tools import TOOLS, Tool

LOOKS = {"list_tasks", "list_runs", "read_run", "explain_task", "forecast_runs", "scheduler_status"}
CHANGES = {"add_task", "change_task", "pause_task", "remove_task", "run_task"}


def test_there_are_eleven_and_six_of_them_only_look() -> None:
    assert {tool.name for tool in TOOLS} == LOOKS | CHANGES
    assert {tool.name for tool in TOOLS if tool.looks} == LOOKS


def test_a_client_asks_its_person_before_what_loses_or_runs_something() -> None:
    assert {tool.name for tool in TOOLS if tool.destructive} == {"remove_task", "run_task"}
    assert {tool.name for tool in TOOLS if tool.open_world} == {"run_task"}


def test_what_may_be_said_twice_is_told() -> None:
    assert {tool.name for tool in TOOLS if tool.idempotent} == {"change_task", "pause_task"}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_its_schema_is_valid_and_takes_nothing_unnamed(tool: Tool) -> None:
    schema = tool.schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert set(tool.required) <= set(tool.arguments)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_its_words_name_no_option_of_the_command_line(tool: Tool) -> None:
    assert "--" not in tool.says + json.dumps(tool.schema())
