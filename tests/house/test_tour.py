"""README.md's tour: what a reader types at a terminal, beside a running daemon, prints what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import pytest

from tests.support.cli_world import CHECKOUT, Program, eventually

TOUR = (CHECKOUT / "README.md").read_text().split("**One example.**")[1].split("\n## What it promises")[0]
EVENTUAL = "jarvis-trio history "
"""A command whose output the daemon has yet to bring about."""

_CHANGING = {
    r"\x1b\[[0-9;?]*[A-Za-z]": "",
    r"(?m)[ \r]+$": "",
    r"(?<=\S) {2,}": "  ",
    r"(/usr)?/bin/": "/bin/",
    r"\d{4}-\d\d-\d\d": "DATE",
    r"\d\d:\d\d(:\d\d)?(?= UTC)|\d\d:\d\d:\d\d": "TIME",  # no seconds on the whole minute
    r"\bM[DS]T\b": "MT",
    r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b": "DAY",
    r"\b[\d.]+ ?(ms|s|min|h|d)\b(?!:)": "A WHILE",
    r"\d+ (year|day|hour)s?( and \d+ \w+)?": "A WHILE",
    r"PID \d+": "PID",
    r"\brun \d+": "run N",
    r"(?m)^\d+(?=  )": "RUN",
}


class Step(NamedTuple):
    """A block that a reader pastes, and what the page says that it prints: all of it, or parts with `...` between."""

    commands: list[str]
    shown: str


def steps() -> Iterator[Step]:
    blocks = re.findall(r"```(sh|text)\n(.*?)```", TOUR, re.DOTALL)
    for (language, text), (following, shown) in pairwise([*blocks, ("", "")]):
        if language == "sh":
            yield Step(text.splitlines(), shown if following == "text" else "")


def steady(text: str) -> str:
    """Text without what differs from one time and one machine to the next."""
    for pattern, word in _CHANGING.items():
        text = re.sub(pattern, word, text)
    return text.strip()


def agrees(printed: str, shown: str) -> bool:
    """Whether a program prints what the page shows, however either is broken into lines."""
    parts = [re.escape(" ".join(steady(part).split())) for part in shown.split("...\n")]
    return re.fullmatch(".*".join(parts), " ".join(steady(printed).split())) is not None


def typed(program: Program, command: str) -> str:
    """What a command prints at a terminal of 112 columns."""
    if command.startswith("alias "):
        return ""
    if not command.startswith("jarvis-trio "):
        subprocess.run(["/bin/sh", "-c", command], cwd=program.data.parent, check=True)
        return ""
    return program.at_terminal(*shlex.split(command)[1:], COLUMNS="112", NO_COLOR="1").out


def lines_of_log(text: str, folder: str) -> list[str]:
    """Its lines, with neither the place of the data or the program nor a figure."""
    text = re.sub(r"'[^']*/jarvis-trio'|\S*/jarvis-trio|python -m jarvis_trio", "jarvis-trio", text)
    return re.sub(r"\d+", "0", steady(text.replace(folder, "HERE"))).splitlines()


def test_the_blocks_survive_being_pasted_into_a_shell() -> None:
    for step in steps():
        assert step.commands
        for command in step.commands:
            assert "#" not in command, "zsh takes a comment for arguments when it is typed"
            assert not command.startswith(("$", "...")), command


@pytest.mark.thorough
@pytest.mark.slow
def test_the_tour_shows_what_a_reader_sees(program: Program) -> None:
    said = program("init").out
    daemon = program.daemon()

    for commands, shown in steps():
        if commands[-1].startswith(EVENTUAL):
            eventually(lambda: agrees(typed(program, commands[-1]), shown))  # noqa: B023  # called in this step only
        else:
            printed = "".join(typed(program, command) for command in commands)
            assert agrees(printed, shown) or not shown, printed

    daemon.terminate()
    said += daemon.communicate(timeout=180)[1]
    [made] = re.findall(r"```console\n\$ make run\n(.*?)```", TOUR, re.DOTALL)
    _set_up, *expected = lines_of_log(made, "/home/ada/jarvis")
    assert set(expected) <= set(lines_of_log(said, str(program.data.parent)))
