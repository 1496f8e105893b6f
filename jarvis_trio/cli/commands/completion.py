"""`jarvis-trio completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from jarvis_trio.cli.shells import register

_SHELLS = ("bash", "fish", "zsh")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands in a shell.

    \b
    Example:
      jarvis-trio completion bash \\
        > ~/.local/share/bash-completion/completions/jarvis-trio
      jarvis-trio completion zsh > "${fpath[1]}/_jarvis-trio"
      jarvis-trio completion fish > ~/.config/fish/completions/jarvis-trio.fish
    """
    root = context.find_root()
    program = root.info_name or ""
    register()
    complete = get_completion_class(shell)
    assert complete is not None
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    click.echo(complete(root.command, {}, program, variable).source())
