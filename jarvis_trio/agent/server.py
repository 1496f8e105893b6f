"""The MCP server: the protocol on one side, the tools' calls on the other. No listener.

The official SDK speaks the protocol, in its revisions before and since 2026-07-28. A protocol
module of our own would start in a third of the time; it was rejected, since the protocol
changed incompatibly this year and will again.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
import jsonschema  # type: ignore[import-untyped]  # its stubs are a package that nobody here else needs
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

from jarvis_trio import __version__
from jarvis_trio.agent.calls import Calls
from jarvis_trio.agent.tools import INSTRUCTIONS, TOOLS, Tool
from jarvis_trio.agent.words import for_model
from jarvis_trio.errors import JarvisError
from jarvis_trio.notation.text import nearest, printable

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0

Context = ServerRequestContext[Any, Any]


# A pair of escaped surrogates is a character, and an escaped backslash begins no escape.
_ESCAPES = re.compile(r"\\\\|\\u[dD][89abAB]\w\w\\u[dD][c-fC-F]\w\w|(\\u[dD][89a-fA-F]\w\w)")


class _ClientEnd(TextIOWrapper):
    """What the client writes; it tells the calls as soon as the client has closed it.

    A lone surrogate becomes U+FFFD, as other bytes do that are not UTF-8: the SDK drops a line with
    one and never answers it. JavaScript writes one if it cuts a text within an emoji.
    """

    def __init__(self, stream: BinaryIO, calls: Calls) -> None:
        super().__init__(stream, encoding="utf-8", errors="replace")
        self._calls = calls

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # text, where the base says bytes
        """The next line; nothing at the end, which the calls are told of first."""
        line = super().readline(-1 if size is None else size)
        self._calls.is_over = self._calls.is_over or not line
        return _ESCAPES.sub(lambda found: r"\ufffd" if found[1] else found[0], line)


def serve(calls: Calls, streams: tuple[BinaryIO, BinaryIO]) -> None:
    """Answer one client until it closes its end.

    Args:
        calls: what the tools do.
        streams: what the client writes and what it reads.
    """
    anyio.run(_serve, make_server(calls), _ClientEnd(streams[0], calls), streams[1], backend="trio")


def make_server(calls: Calls) -> Server[Any]:
    """The server of these calls; if they are read-only, of those that look."""
    tools = {tool.name: tool for tool in TOOLS if tool.looks or not calls.read_only}
    listed = types.ListToolsResult(tools=[_listing(tool) for tool in tools.values()])

    async def list_tools(_: Context, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listed

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            tool, arguments = _checked(tools, params.name, params.arguments or {})
            return _answer(await _call(calls, tool, arguments, context))
        except JarvisError as error:
            return _refusal(printable(for_model(str(error), tools)))
        except Exception as error:  # one bad call must not end the session of all others
            _logger.error("The tool %s failed", params.name, exc_info=error)
            return _refusal(f"{params.name} failed: {printable(str(error)) or type(error).__name__}; look at the log")

    return Server(
        "jarvis-trio",
        version=__version__,
        title="Jarvis, the scheduler",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _serve(server: Server[Any], reads: TextIOWrapper, writes: BinaryIO) -> None:
    stdout = anyio.wrap_file(TextIOWrapper(writes, encoding="utf-8"))

    async with stdio_server(anyio.wrap_file(reads), stdout) as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _call(calls: Calls, tool: Tool, arguments: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Make the call in a thread. A run is looked at each second, with progress for the client."""
    answer = await anyio.to_thread.run_sync(calls.call, tool.name, arguments)
    if isinstance(answer, dict):
        return answer

    try:
        for seconds in itertools.count():
            await context.session.report_progress(seconds, message=f"{arguments['name']} runs")
            if (ended := await anyio.to_thread.run_sync(answer.look)) is not None:
                return ended
            await anyio.sleep(_LOOK_SECONDS)
    except anyio.get_cancelled_exc_class():
        if not calls.is_over:  # the client's end is no wish to stop the run, which is the daemon's
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(answer.cancel)
        raise
    raise AssertionError("counting does not end")


def _checked(tools: Mapping[str, Tool], name: str, arguments: Mapping[str, Any]) -> tuple[Tool, Mapping[str, Any]]:
    """The tool and its arguments. Raises JarvisError for what the tool's schema does not allow."""
    tool = tools.get(name)
    if tool is None:
        raise JarvisError(
            f"there is no tool {name!r} here", fix=f"{nearest(name, [*tools])}use one of {', '.join(tools)}"
        )
    if unknown := sorted(set(arguments) - set(tool.arguments)):
        hint = nearest(unknown[0], [*tool.arguments])
        raise JarvisError(
            f"{name} has no argument {unknown[0]!r}", fix=f"{hint}it takes {', '.join(tool.arguments) or 'none'}"
        )

    errors = jsonschema.Draft202012Validator(tool.schema()).iter_errors(dict(arguments))
    if (error := jsonschema.exceptions.best_match(errors)) is not None:
        place = ".".join(map(str, error.absolute_path)) or name
        raise JarvisError(f"{place}: {error.message[:200]}", fix=f"{_expected(tool, error.absolute_path)}")
    return tool, arguments


def _expected(tool: Tool, path: Any) -> str:
    says = tool.arguments.get(str(path[0]), {}).get("description") if path else None
    return f"give it as described: {says}" if says else f"give {', '.join(tool.required)}"


def _listing(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.says,
        input_schema=tool.schema(),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.looks,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent or tool.looks,
            open_world_hint=tool.open_world,
        ),
    )


def _answer(value: dict[str, Any]) -> types.CallToolResult:
    """The value twice: structured for programs, and as text for clients that show only that."""
    text = json.dumps(value, ensure_ascii=False)
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=value)


def _refusal(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
