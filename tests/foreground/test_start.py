"""The daemon's two ways to start: without the command line, and through its `run`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from jarvis_trio.foreground import COMPLETION, is_usual
from tests.support.cli_world import CHECKOUT, Program

PLAIN: list[list[str]] = [[], ["run"]]
THROUGH_CLICK = ["run", "--log-format", "text"]


def nothing(program: Program) -> None:
    """A folder without a database."""


def bad_setting(program: Program) -> None:
    program("init")
    program.environment["DAEMON_TICK_INTERVAL_SECONDS"] = "soon"


def log_is_a_folder(program: Program) -> None:
    program("init")
    program.environment["DAEMON_LOG_FILE"] = str(program.data)


def running_daemon(program: Program) -> None:
    program("init")
    program.daemon()


@pytest.mark.parametrize(
    ("words", "environment", "usual"),
    [
        ([], {}, True),
        (["run"], {}, True),
        (["run"], {COMPLETION: "bash_complete"}, False),
        (["run", "--help"], {}, False),
        (["run", "--log-format", "json"], {}, False),
        (["run", "run"], {}, False),
        (["list"], {}, False),
        ([""], {}, False),
    ],
)
def test_the_daemon_starts_without_the_command_line_if_no_word_says_more(
    words: list[str], environment: dict[str, str], usual: bool
) -> None:
    assert is_usual(words, environment) is usual


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [nothing, bad_setting, log_is_a_folder, running_daemon])
def test_each_way_to_start_says_the_same_of_what_prevents_it(
    prepare: Callable[[Program], None], program: Program
) -> None:
    prepare(program)
    through_click = program(*THROUGH_CLICK)
    assert (through_click.code, through_click.out) == (1, "")
    assert through_click.err.startswith("jarvis-trio: ")
    assert [program(*words) for words in PLAIN] == [through_click] * len(PLAIN)


# Ctrl-C comes as the settings are read: after the imports, and before the daemon keeps signals.
INTERRUPTED = """
import os, runpy, signal, sys
import jarvis_trio.settings
def interrupted(*_):
    os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
jarvis_trio.settings.own_settings = interrupted
sys.argv[0] = "jarvis_trio"
runpy.run_module("jarvis_trio", run_name="__main__", alter_sys=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("words", [*PLAIN, THROUGH_CLICK])
def test_ctrl_c_before_the_daemon_keeps_signals_is_told_on_a_line_of_its_own(
    words: list[str], program: Program
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words],
        cwd=CHECKOUT,
        env=program.environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\njarvis-trio: interrupted\n")
