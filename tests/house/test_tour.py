"""README.md's tour: what a reader types at a terminal, beside a running daemon, prints what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.cli_world import CHECKOUT, Program, eventually

TOUR = (CHECKOUT / "README.md").read_text().split("## A tour\n")[1].split("\n## ")[0]
AGAIN = ("run-now", "history")  # what the daemon or the clock has yet to bring about

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
    r"PID \d+": "PID",
    r"(?m)^\d+(?=  )": "RUN",
}


def steps() -> Iterator[tuple[str, str]]:
    """Each command, and what the page says that it prints."""
    for block in re.findall(r"```console\n(.*?)```", TOUR, re.DOTALL):
        for step in block.split("$ ")[1:]:
            command, _, shown = step.partition("\n")
            yield command, shown


def steady(text: str) -> str:
    """Text without what differs from one time and one machine to the next."""
    for pattern, word in _CHANGING.items():
        text = re.sub(pattern, word, text)
    return text.strip()


def typed(program: Program, command: str) -> str:
    """What a command prints at a terminal of 112 columns."""
    if not command.startswith("jarvis-trio "):
        subprocess.run(["/bin/sh", "-c", command], cwd=program.data.parent, check=True)
        return ""
    return steady(program.at_terminal(*shlex.split(command)[1:], COLUMNS="112", NO_COLOR="1").out)


def lines_of_log(text: str, folder: str) -> list[str]:
    """Its lines, with neither the place of the data nor a figure."""
    return re.sub(r"\d+", "0", steady(text.replace(folder, "HERE"))).splitlines()


@pytest.mark.slow
def test_the_tour_shows_what_a_reader_sees(program: Program) -> None:
    (first, made), *further = steps()
    assert first == "make run"
    said = program("init").out
    daemon = program.daemon()
    for command, shown in further:
        if shown and any(verb in command for verb in AGAIN):
            eventually(lambda: typed(program, command) == steady(shown))  # noqa: B023  # called in this step only
        else:
            assert typed(program, command) == steady(shown) or not shown, command
    daemon.terminate()
    said += daemon.communicate(timeout=20)[1]
    _set_up, *expected = lines_of_log(made, "/home/ada/jarvis")
    assert set(expected) <= set(lines_of_log(said, str(program.data.parent)))
