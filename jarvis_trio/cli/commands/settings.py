"""`jarvis-trio settings`."""

from __future__ import annotations

import click

from jarvis_trio.cli.output import json_option, print_json, say
from jarvis_trio.cli.settings_table import print_settings
from jarvis_trio.desk.session import Session
from jarvis_trio.settings import Settings, settings_file


@click.command()
@click.option("--toml", "as_toml", is_flag=True, help="Print them as a settings file.")
@json_option
@click.pass_obj
def settings(session: Session, as_toml: bool, as_json: bool) -> None:
    """Show each setting, and where its value comes from.

    The environment wins over the settings file, and that over the defaults. The
    daemon and all commands read the same file.

    \b
    Example:
      jarvis-trio settings
      jarvis-trio settings --toml > ~/.config/jarvis/settings.toml
    """
    in_force, usual = session.settings, settings_file(session.environment)
    if as_toml:
        click.echo(_toml(in_force), nl=False)
    elif as_json:
        file = in_force.file and str(in_force.file)
        print_json({"settings": in_force.shown(), "file": file, "usual_file": str(usual)})
    else:
        print_settings(in_force)
        say("")
        say(f"Settings file: {in_force.file or f'{usual} (not there)'}")


def _toml(in_force: Settings) -> str:
    """What differs from the defaults, ready to be kept; each default stands as a comment."""
    import tomli_w  # noqa: PLC0415  # only this option writes TOML

    lines = []
    for variable, value in in_force.environment().items():
        number = value if value.isdecimal() else None
        line = f"{variable} = {number}\n" if number else tomli_w.dumps({variable: value})
        is_default = in_force.shown()[variable]["source"] == "default"
        lines.append(f"# {line}" if is_default else line)
    return "".join(lines)
