"""The server as a client starts it: a real process, its streams, its end."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import tty
from typing import Any

import pytest
import trio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from tests.support.cli_world import Program, eventually, execute
from tests.support.core_fakes import PATIENCE

pytestmark = pytest.mark.slow

DISCOVER = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
LIST = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_tasks", "arguments": {}}}
DISCOVER_AND_LIST = (json.dumps(DISCOVER), json.dumps(LIST))


@pytest.fixture
def home(program: Program) -> Program:
    """The program with a database."""
    assert program("init").code == 0
    return program


def server(program: Program, *options: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=["-m", "jarvis_trio", "mcp", *options], env=program.environment
    )


@pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=pytest.mark.thorough)])
async def test_a_client_of_either_era_starts_it_and_asks(home: Program, mode: str) -> None:
    with trio.fail_after(180):
        async with Client(server(home), mode=mode) as client:
            result = await client.call_tool("list_tasks", {})

    names: list[str] = [task["name"] for task in result.structured_content["tasks"]]
    assert names == ["alert_eval", "webhook_poll"]


def test_nothing_but_the_protocol_is_on_its_stdout(home: Program) -> None:
    (home.data.parent / "sitecustomize.py").write_text("print('noise at the start')\n")
    noisy = {"PYTHONPATH": os.pathsep.join([str(home.data.parent), home.environment["PYTHONPATH"]])}
    lines, _ = converse(home, json.dumps(DISCOVER), json.dumps(LIST), **noisy)

    assert lines.pop(0) == "noise at the start"  # printed before we are there
    assert [json.loads(line)["id"] for line in lines] == [1, 2]


@pytest.mark.thorough
def test_frames_that_make_no_sense_end_nothing(home: Program) -> None:
    nonsense = ("", "{", "[]", "null", '{"jsonrpc": "2.0"}', "\x00", "9" * 5000, '{"id": 1, "method": "x"}', "\u2028")
    lines, err = converse(home, *nonsense, json.dumps(DISCOVER), *nonsense, json.dumps(LIST))

    assert "result" in json.loads(lines[-1])
    assert "Traceback" not in err


@pytest.mark.thorough
def test_a_text_that_was_cut_within_an_emoji_is_answered(home: Program) -> None:
    arguments = {"name": "\U0001f600 \\ud83d \ud83d"}  # a whole one, its escape in words, and the half of one
    call = LIST | {"params": {"name": "explain_task", "arguments": arguments}}
    lines, _ = converse(home, json.dumps(DISCOVER), json.dumps(call))

    (content,) = json.loads(lines[-1])["result"]["content"]
    assert content["text"].startswith("no task is named '\U0001f600 \\\\ud83d \ufffd'")


def test_it_ends_when_its_client_dies(home: Program) -> None:
    process = start([sys.executable, "-m", "jarvis_trio", "mcp"], home.environment)
    assert process.stdin is not None
    process.stdin.write(json.dumps(DISCOVER) + "\n")
    process.stdin.flush()
    process.stdin.close()

    process.stdin = None
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.thorough
def test_at_a_terminal_it_says_what_it_is(home: Program) -> None:
    done = home.at_terminal("mcp", answer="\x04")

    assert "this is an MCP server" in done.out


@pytest.mark.law(9)
def test_a_terminal_on_its_stdin_approves_nothing(home: Program) -> None:
    task = {"name": "job", "every": "1h", "command": ["/bin/echo", "hi"]}
    add = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add_task", "arguments": task}}
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    words = [sys.executable, "-m", "jarvis_trio", "mcp"]
    with subprocess.Popen(words, env=home.environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, "".join(json.dumps(frame) + "\n" for frame in (DISCOVER, add)).encode())
        eventually(lambda: execute(home.data / "memory.db", "SELECT 1 FROM scheduled_tasks WHERE name = 'job'"))
        os.close(ours)
    assert process.returncode is not None

    assert not (home.data / "approved-commands.json").exists()


@pytest.mark.parametrize(
    ("environment", "says"),
    [({"JARVIS_DATA_DIR": "/nonexistent"}, "Memory DB not found"), ({"DAEMON_TICK_INTERVAL_SECONDS": "x"}, "INTERVAL")],
)
def test_what_is_missing_is_one_line_at_the_start(home: Program, environment: dict[str, str], says: str) -> None:
    done = home("mcp", **environment)

    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert says in done.err


def test_without_the_extra_it_says_how_to_get_it(home: Program) -> None:
    (home.data.parent / "mcp.py").write_text("raise ImportError('not here')\n")
    done = home("mcp", PYTHONPATH=os.pathsep.join([str(home.data.parent), home.environment["PYTHONPATH"]]))

    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "pip install" in done.err


@pytest.mark.thorough
def test_the_configuration_for_clients_starts_a_server_from_any_folder(home: Program) -> None:
    done = home("mcp", "--print-config", "--read-only")
    block: Any = json.loads(done.out[done.out.index("{") :])["mcpServers"]["jarvis"]

    assert "claude mcp add jarvis" in done.out
    assert os.path.isabs(block["command"])
    words = [block["command"], *block["args"]]
    lines, _ = talk(start(words, {"PYTHONPATH": home.environment["PYTHONPATH"]} | block["env"]), DISCOVER_AND_LIST)
    assert "alert_eval" in lines[-1]


def test_the_configuration_for_clients_has_what_the_environment_sets_and_no_secret(home: Program) -> None:
    alerts = {"JARVIS_ALERT_CHANNEL": "apprise", "JARVIS_ALERT_CONFIG": '{"urls": "json://hunter2@example.org"}'}
    done = home("mcp", "--print-config", JARVIS_MACHINE="attic", **alerts)
    block: Any = json.loads(done.out[done.out.index("{") :])["mcpServers"]["jarvis"]

    assert block["env"]["JARVIS_MACHINE"] == "attic"
    assert "hunter2" not in done.out


def converse(program: Program, *frames: str, **environment: str) -> tuple[list[str], str]:
    """Start a server, send it these frames, and end it; returns the lines of stdout, and stderr."""
    words = [sys.executable, "-m", "jarvis_trio", "mcp"]
    return talk(start(words, program.environment | environment), frames)


def start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(words, env=environment, cwd="/", text=True, **pipes)  # type: ignore[call-overload,no-any-return]  # mypy does not know these keywords by their dict


def talk(process: subprocess.Popen[str], frames: tuple[str, ...]) -> tuple[list[str], str]:
    """Send frames, read until the call with number 2 is answered, and close the client's end."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(frames) + "\n")
    process.stdin.flush()

    said = b""
    while b'"id":2' not in said:
        assert select.select([process.stdout], [], [], PATIENCE)[0], f"no answer in time after {said!r}"
        chunk = os.read(process.stdout.fileno(), 65536)
        assert chunk, f"it ended early: {process.communicate()}"
        said += chunk

    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return said.decode().splitlines(), err


@pytest.mark.thorough
def test_without_a_daemon_a_run_is_refused_in_one_line(home: Program) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "run_task", "arguments": {"name": "alert_eval"}},
    }
    lines, _ = converse(home, json.dumps(DISCOVER), json.dumps(call))

    answer = json.loads(lines[-1])["result"]
    assert answer["isError"] is True
    assert "no daemon runs" in answer["content"][0]["text"]


async def test_a_task_runs_in_the_daemon_with_progress(home: Program) -> None:
    home.daemon()
    told: list[float] = []

    async def note(progress: float, _: float | None, __: str | None) -> None:
        told.append(progress)

    with trio.fail_after(180):
        async with Client(server(home)) as client:
            result = await client.call_tool("run_task", {"name": "webhook_poll"}, progress_callback=note)
            # The client calls back in a task of its own.
            while not told:  # noqa: ASYNC110  # an event would need an assertion of its own
                await trio.sleep(0.01)

    ran: Any = result.structured_content
    assert (ran["status"], ran["trigger"], ran["task"]) == ("executed", "manual", "webhook_poll")
    assert told[:1] == [0.0]


@pytest.mark.thorough
async def test_a_cancelled_run_ends_and_says_so(home: Program) -> None:
    add_sleeper(home)
    home.daemon()
    with trio.fail_after(120):
        async with Client(server(home)) as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.call_tool, "run_task", {"name": "sleeper"})
                await trio.to_thread.run_sync(lambda: eventually(lambda: last_run(home)[0] == "running"))
                nursery.cancel_scope.cancel()
            # The client stays: one that leaves kills its server after a while, which may not have read this by then.
            await trio.to_thread.run_sync(lambda: eventually(lambda: last_run(home)[0] == "interrupted"))

    assert "cancelled" in last_run(home)[1]


@pytest.mark.thorough
async def test_a_client_that_dies_leaves_its_run_alone(home: Program) -> None:
    add_sleeper(home)
    home.daemon()
    call = {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "run_task", "arguments": {"name": "sleeper"}},
    }
    process = start([sys.executable, "-m", "jarvis_trio", "mcp"], home.environment)
    assert process.stdin is not None
    process.stdin.write(json.dumps(DISCOVER) + "\n" + json.dumps(call) + "\n")
    process.stdin.flush()
    eventually(lambda: last_run(home)[0] == "running")
    process.stdin.close()
    process.stdin = None
    process.communicate(timeout=PATIENCE)

    assert last_run(home)[0] == "running"


def add_sleeper(program: Program) -> None:
    """Add a task that runs for a minute, and approve its program as a person does."""
    assert program("add", "sleeper", "--every", "9h", "--", "/bin/sleep", "60").code == 0
    assert program("allow", "/bin/sleep").code == 0


def last_run(program: Program) -> tuple[str, str]:
    """How the last run of `sleeper` stands, and why."""
    found = execute(program.data / "memory.db", "SELECT status, reason FROM task_runs WHERE task_name = 'sleeper'")
    return (found[-1][0], found[-1][1] or "") if found else ("", "")


@pytest.mark.law(9)
def test_a_command_of_an_agent_runs_only_if_it_is_approved_for_agents(home: Program) -> None:
    task = {"name": "job", "every": "1h", "command": ["/bin/echo", "hi"]}
    add = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add_task", "arguments": task}}
    assert home("allow", "/bin/echo").code == 0
    converse(home, json.dumps(DISCOVER), json.dumps(add))

    refused = home("run-now", "job", "--json")
    assert "not approved" in json.loads(refused.out)["error"]
    assert home("allow", "--for-agents", "/bin/echo").code == 0
    assert json.loads(home("run-now", "job", "--json").out)["status"] == "executed"


@pytest.mark.law(9)
@pytest.mark.parametrize("path", ["/bin/sh", "/usr/bin/env", sys.executable])
def test_what_runs_anything_is_never_approved_for_agents_by_its_path(home: Program, path: str) -> None:
    done = home("allow", "--for-agents", path)

    assert done.code == 1
    assert "cannot be approved for agents" in done.err
