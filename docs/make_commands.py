"""Writes `docs/commands.md`, the reference of the command line, from the commands themselves: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from jarvis_trio.cli import SECTIONS, program

PAGE = Path(__file__).parent / "commands.md"
_WIDTH = 100
_HEAD = """\
# Commands

Each command and option, as `--help` prints it. This page is written by `make docs`; change the
commands instead.

Exit codes: 0 done; 1 could not, which one line on stderr explains; 2 wrong usage. `--json` prints
JSON alone on stdout.
"""


def reference() -> str:
    """The text of the page."""
    root = program.make_context("jarvis-trio", [], resilient_parsing=True, terminal_width=_WIDTH)
    return "\n".join((_HEAD, *_contents(), *_sections(root)))


def _contents() -> Iterator[str]:
    yield "| | |\n|---|---|"
    for section in SECTIONS.values():
        for command in section:
            yield f"| [`{command.name}`](#{command.name}) | {command.short_help} |"
    yield ""


def _sections(root: click.Context) -> Iterator[str]:
    for heading, section in SECTIONS.items():
        yield f"## {heading}\n"
        for command in section:
            yield from _help(command.load(), root)


def _help(command: click.Command, parent: click.Context) -> Iterator[str]:
    """The help of a command, and of those that are grouped in it."""
    context = click.Context(command, parent, info_name=command.name)
    yield f"### {context.command_path.partition(' ')[2]}\n\n```text\n{context.get_help()}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield from _help(inner, context)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
