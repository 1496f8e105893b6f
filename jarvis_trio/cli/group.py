"""A click group that imports a command's module only when that command is invoked."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from jarvis_trio.process.interrupt import raise_interrupts

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyCommand(click.Command):
    """Stands for a command in listings, until it is loaded.

    `target` is `module:attribute`, `summary` the first line of its help.
    """

    def __init__(self, name: str, target: str, summary: str) -> None:
        super().__init__(name, short_help=summary)
        self._target = target

    def load(self) -> click.Command:
        """The command itself, which Ctrl-C interrupts from here on."""
        module, _, attribute = self._target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        raise_interrupts()
        return command


class LazyGroup(click.Group):
    """A group of commands in sections.

    Args:
        sections: the commands by the heading of their section.
        default: the command that runs if none is named.
    """

    def __init__(self, sections: Mapping[str, list[LazyCommand]], default: str, help: str) -> None:
        commands = [command for section in sections.values() for command in section]
        super().__init__(commands=commands, help=help, context_settings={"help_option_names": ["-h", "--help"]})
        self._sections = sections
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, but run the default command if there are no arguments.

        A shell's completion gets no default command.
        """
        return super().parse_args(ctx, args if args or ctx.resilient_parsing else [self._default])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, now imported; None if there is none."""
        command = self.commands.get(cmd_name)
        return command.load() if isinstance(command, LazyCommand) else command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, without importing one."""
        width = max(map(len, self.commands))
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{command.name:<{width}}", command.short_help or "") for command in commands])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, without importing a command."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # which only a shell asks for

        names = [name for name in self.commands if name.startswith(incomplete)]
        items = [CompletionItem(name, help=self.commands[name].short_help) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)
