"""The server as a client sees it: the SDK's own client in both eras, in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client

from jarvis_trio.agent.calls import Calls
from jarvis_trio.agent.server import make_server
from jarvis_trio.foreground.session import CommandSession
from tests.support.cli_world import Cli

Connect = Callable[..., Any]


@pytest.fixture
def connect(cli: Cli) -> Connect:
    """Connects a client to a server of the test's database."""

    cli.ok("status")  # it reads the settings of this test

    @asynccontextmanager
    async def connected(mode: str = "auto", **options: Any) -> AsyncIterator[Client]:
        environment = {"JARVIS_DATA_DIR": str(cli.data), "PATH": "/usr/bin:/bin"}
        calls = Calls(lambda: CommandSession(environment, cli.clock), **options)
        async with Client(make_server(calls), mode=mode) as client:
            yield client

    return connected


async def answer(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers, which must be no error."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert json.loads(result.content[0].text) == result.structured_content  # type: ignore[union-attr]  # text, as we send
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """The one line with which a tool refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    text: str = result.content[0].text  # type: ignore[union-attr]  # text, as we send
    assert "\n" not in text
    return text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_clients_of_both_eras_find_the_tools(connect: Connect, mode: str) -> None:
    async with connect(mode) as client:
        tools = (await client.list_tools()).tools

    kinds = {tool.name: tool.annotations.read_only_hint for tool in tools}
    assert kinds["list_tasks"] is True
    assert kinds["remove_task"] is False
    assert len(kinds) == 11


async def test_the_whole_list_is_small_enough_for_every_conversation(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools

    assert sum(len(tool.model_dump_json(by_alias=True, exclude_unset=True)) for tool in tools) <= 8 * 1024


async def test_what_is_listed_is_what_the_command_prints_as_json(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        assert (await answer(client, "list_tasks"))["tasks"] == cli.json("list")
        assert await answer(client, "scheduler_status") == cli.json("status")
        assert (await answer(client, "forecast_runs", days=1))["slots"] == cli.json("forecast", "--days", "1")[:50]
        assert (await answer(client, "explain_task", name="poll")) == cli.json("explain", "poll")


@pytest.mark.parametrize("day", ["tomorrow", "yesterday", "2026-12-24"])
async def test_a_whole_day_is_explained_as_the_command_does(cli: Cli, connect: Connect, day: str) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        assert (await answer(client, "explain_task", name="poll", at=day)) == cli.json("explain", "poll", "--at", day)


async def test_a_task_is_added_and_needs_a_persons_approval(cli: Cli, connect: Connect) -> None:
    async with connect() as client:
        added = await answer(client, "add_task", name="brief", cron="0 17 * * FRI", command=["/bin/echo", "hello"])

    assert "approve" in added["needs_approval"]
    assert cli.task("brief").handler_type == "custom"
    assert json.loads(cli.task("brief").handler_config or "")["by_agent"] is True


async def test_an_assistant_configures_no_command(cli: Cli, connect: Connect) -> None:
    config = {"command": ["/bin/echo", "hello"], "secrets": ["API_KEY"]}
    async with connect() as client:
        await answer(client, "add_task", name="brief", every="1h", command=["/bin/echo", "hello"])
        refused = await refusal(client, "change_task", name="brief", config=config)
        changed = await answer(client, "change_task", name="brief", handler="alert_eval", config={"x": 1})

    assert "writes no `config` for a task of type custom; for a command give `command`" in refused
    assert changed["task"]["definition"]["handler"] == {"type": "alert_eval", "config": {"x": 1}}


async def test_a_dry_run_says_what_would_be_and_adds_nothing(cli: Cli, connect: Connect) -> None:
    async with connect() as client:
        would = await answer(client, "add_task", name="job", every="5m", handler="webhook_poll", dry_run=True)

    assert would["task"]["name"] == "job"
    assert cli.names() == []


async def test_a_change_answers_with_what_was_and_what_is(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        changed = await answer(client, "change_task", name="poll", every="10m")

    assert changed["before"]["definition"]["schedule"] == {"every_seconds": 300}
    assert changed["task"]["definition"]["schedule"] == {"every_seconds": 600}


async def test_pausing_twice_is_pausing_once(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        for paused in (True, True, False, False):
            seen = await answer(client, "pause_task", name="poll", paused=paused)
            assert seen["enabled"] is not paused


async def test_a_removed_task_is_gone(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        assert (await answer(client, "remove_task", name="poll"))["removed"] == "poll"

    assert cli.names() == []


async def test_the_end_of_an_output_is_read_clean_and_the_rest_is_counted(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    cli.ok("run-now", "poll")
    async with connect() as client:
        run = (await answer(client, "list_runs"))["runs"][0]
        read = await answer(client, "read_run", run=run["id"])

    assert "result" not in run
    assert (read["status"], read["left_out"]) == ("executed", 0)
    assert read["output"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("explain_task", {"name": "bakup"}, "did you mean 'backup'? list_tasks shows the names"),
        ("add_task", {"name": "backup", "every": "5m", "handler": "webhook_poll"}, "or change_task that one"),
        ("list_tusks", {}, "did you mean 'list_tasks'"),
        ("explain_task", {"nam": "backup"}, "did you mean 'name'"),
        ("explain_task", {}, "'name' is a required property"),
        ("list_runs", {"limit": 1000}, "1000 is greater than the maximum of 200"),
        ("list_runs", {"status": "late"}, "'late' is not one of"),
        ("read_run", {"run": 7}, "no run has the number 7, and no task that name; see: list_runs"),
        ("run_task", {"name": "backup"}, "start it with: jarvis-trio run (for the person, at a terminal)"),
        ("read_run", {"run": 2**63}, "is greater than the maximum of 9223372036854775807"),
        ("add_task", {"name": "x", "every": "5s", "handler": "webhook_poll"}, "at most once a minute"),
        ("add_task", {"name": "x", "every": "often", "handler": "webhook_poll"}, "often"),
        ("add_task", {"name": "x", "every": "5m"}, "say what is to run"),
        ("add_task", {"name": "x", "command": ["/bin/echo"]}, "say when it is to run"),
        ("add_task", {"name": "x", "every": "5m", "handler": "custom"}, "'custom' is not one of"),
        (
            "add_task",
            {"name": "x", "every": "5m", "command": ["/bin/echo"], "deliver": "email"},
            "'email' is not one of",
        ),
    ],
)
async def test_an_error_teaches(cli: Cli, connect: Connect, tool: str, arguments: dict[str, Any], says: str) -> None:
    cli.ok("add", "backup", "--every", "5m", "--handler", "webhook_poll")
    async with connect() as client:
        text = await refusal(client, tool, **arguments)

    assert says in text
    assert "--" not in text


async def test_a_session_adds_twenty_tasks_and_no_more(cli: Cli, connect: Connect) -> None:
    async with connect() as client:
        for number in range(20):
            await answer(client, "add_task", name=f"job {number}", every="1h", handler="webhook_poll")
        assert "added 20 tasks" in await refusal(
            client, "add_task", name="one more", every="1h", handler="webhook_poll"
        )

    assert len(cli.names()) == 20


async def test_read_only_offers_six_tools_and_leaves_every_byte(cli: Cli, connect: Connect) -> None:
    cli.ok("add", "poll", "--every", "5m", "--handler", "webhook_poll")
    before = cli.path.read_bytes()
    async with connect(read_only=True) as client:
        assert len((await client.list_tools()).tools) == 6
        await answer(client, "list_tasks")
        await answer(client, "scheduler_status")
        await answer(client, "explain_task", name="poll")
        assert "there is no tool 'remove_task' here" in await refusal(client, "remove_task", name="poll")

    assert cli.path.read_bytes() == before


async def test_a_fault_of_ours_in_one_call_is_one_line_and_the_next_call_is_answered(
    cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    cli.ok("status")
    faults = [ValueError("not\nthis")]

    def opened() -> CommandSession:
        if faults:
            raise faults.pop()
        return CommandSession({"JARVIS_DATA_DIR": str(cli.data), "PATH": "/usr/bin:/bin"}, cli.clock)

    async with Client(make_server(Calls(opened))) as client:
        assert await refusal(client, "list_tasks") == "list_tasks failed: not\\nthis; look at the log"
        assert (await answer(client, "list_tasks"))["tasks"] == []
    assert "The tool list_tasks failed" in caplog.messages
