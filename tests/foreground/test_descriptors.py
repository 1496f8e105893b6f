"""What becomes of a daemon whose descriptors a handler has closed (law 4)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cli_world import Program
from tests.support.core_fakes import PATIENCE

CLOSING = """
import os, threading

standing, closed = threading.Event(), threading.Event()

def close_all(task, context):
    os.closerange(3, 1024)

def close_all_and_stay(task, context):
    standing.wait()
    os.closerange(3, 1024)
    closed.set()
    context.cancelled.wait()

def stand_by(task, context):
    standing.set()
    closed.wait()
"""
HANDLERS = ("close_all", "close_all_and_stay", "stand_by")


@pytest.fixture
def closing(program: Program, tmp_path: Path) -> Program:
    """A set-up with handlers that close all descriptors, as what makes a daemon of its process does."""
    metadata = tmp_path / "packages" / "closing-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: closing\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "\n".join(["[jarvis_trio.handlers]", *(f"{name} = closing:{name}" for name in HANDLERS)])
    )
    metadata.with_name("closing.py").write_text(CLOSING)
    program.environment["PYTHONPATH"] = os.pathsep.join([program.environment["PYTHONPATH"], str(metadata.parent)])
    program("init")
    program("pause", "--all")
    return program


@pytest.mark.slow
@pytest.mark.law(4)
def test_law_4_a_daemon_whose_descriptors_a_handler_closes_says_so_and_ends_at_once(closing: Program) -> None:
    """It stood still, with an event loop that hears nothing. What starts daemons starts it again."""
    assert closing.anew("add", "bad", "--every", "1s", "--handler", "close_all").code == 0
    daemon = closing.start("run")
    said = daemon.communicate(timeout=PATIENCE)[1]
    wrote = (closing.data / "jarvis-daemon.log").read_text().splitlines()[-1]
    assert daemon.returncode == 1
    assert wrote.endswith(
        "The handler 'close_all' of task 'bad' has closed descriptors that are not its own;"
        " the daemon cannot go on, and ends"
    )
    assert wrote in said


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.law(4)
def test_law_4_whoever_returns_first_names_all_that_may_have_closed_the_descriptors(closing: Program) -> None:
    assert closing.anew("add", "bad", "--every", "1s", "--handler", "close_all_and_stay").code == 0
    assert closing.anew("add", "good", "--every", "1s", "--handler", "stand_by").code == 0
    daemon = closing.start("run")
    said = daemon.communicate(timeout=PATIENCE)[1]
    assert daemon.returncode == 1
    assert "One of the handlers " in said
    assert "'close_all_and_stay' of task 'bad'" in said
    assert "'stand_by' of task 'good'" in said
