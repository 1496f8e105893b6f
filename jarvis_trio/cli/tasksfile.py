"""A file of tasks as text, and what it changes, as several commands show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jarvis_trio.cli.output import say
from jarvis_trio.desk import exchange
from jarvis_trio.desk.session import Session
from jarvis_trio.desk.words import definition_words, difference
from jarvis_trio.notation.text import UNPRINTABLE


def toml_text(document: Mapping[str, Any]) -> str:
    """The tasks of the document as TOML, a table each, with what acts on a terminal as escapes."""
    text = "\n".join(map(_table, document["tasks"]))
    return "\n".join(map(_in_ascii_controls, text.split("\n"))) or "tasks = []\n"


def _table(entry: Mapping[str, Any]) -> str:
    """One task, its own tables last. Given the whole, tomli_w writes short tasks in one line."""
    import tomli_w  # noqa: PLC0415  # only this writes TOML

    plain = {key: value for key, value in entry.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in entry.items() if isinstance(value, Mapping)}
    below = tomli_w.dumps({"tasks": tables}) if tables else ""
    return "\n".join(filter(None, ("[[tasks]]\n" + tomli_w.dumps(plain), below.removeprefix("[tasks]\n"))))


def _in_ascii_controls(line: str) -> str:
    """Escape each character of a TOML line that acts on a terminal; all stand in strings."""
    return UNPRINTABLE.sub(lambda found: f"\\U{ord(found[0]):08x}", line)


def say_difference(change: exchange.Change, session: Session) -> None:
    """Say what changes of one task."""
    before, after, zone = change.before, change.after, session.zone()
    say(f"{'+' if before is None else '~'} {after.name}")
    old = {} if before is None else definition_words(before, zone)
    for line in difference(old, definition_words(after, zone)):
        say(f"    {line}")
