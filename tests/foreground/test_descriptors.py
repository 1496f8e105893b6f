"""What becomes of a daemon whose descriptors a handler has closed (law 4)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.cli_world import Program
from tests.support.core_fakes import PATIENCE

CLOSING = """
import os

def close_all(task, context):
    os.closerange(3, 1024)
"""


@pytest.fixture
def closing(program: Program, tmp_path: Path) -> Program:
    """A set-up with a task whose handler closes all descriptors, as what makes a daemon of its process does."""
    metadata = tmp_path / "packages" / "closing-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: closing\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[jarvis_trio.handlers]\nclose_all = closing:close_all\n")
    metadata.with_name("closing.py").write_text(CLOSING)
    program.environment["PYTHONPATH"] = os.pathsep.join([program.environment["PYTHONPATH"], str(metadata.parent)])
    program("init")
    assert program.anew("add", "bad", "--every", "1s", "--handler", "close_all").code == 0
    return program


@pytest.mark.slow
@pytest.mark.law(4)
def test_law_4_a_daemon_whose_descriptors_a_handler_closes_says_so_and_ends_at_once(closing: Program) -> None:
    """It stood still, with an event loop that hears nothing. What starts daemons starts it again."""
    daemon = closing.start("run")
    said = daemon.communicate(timeout=PATIENCE)[1]
    wrote = (closing.data / "jarvis-daemon.log").read_text().splitlines()[-1]
    assert daemon.returncode == 1
    assert wrote.endswith(
        "The handler 'close_all' of task 'bad' has closed descriptors that are not its own;"
        " the daemon cannot go on, and ends"
    )
    assert wrote in said
