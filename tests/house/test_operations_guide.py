"""docs/operations.md: every command of it is tried, in its order, by the shell that a reader has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_world import CHECKOUT, Program

GUIDE = CHECKOUT / "docs/operations.md"


def blocks() -> list[str]:
    """The commands, block by block."""
    found = re.findall(r"^( *)```sh\n(.*?)^ *```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


@pytest.fixture
def home(program: Program, tmp_path: Path) -> Program:
    """A reader's home: the program on PATH, a task `backup` that has run, and a notifier."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {
        "jarvis-trio": f'exec "{sys.executable}" -m jarvis_trio "$@"',
        "notify-send": "exit 0",
        "osascript": "exit 0",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    program.environment |= {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "DATA": str(program.data)}
    for arguments in (["init"], ["allow", "true"], ["add", "backup", "--every", "1h", "--", "true"], ["tick"]):
        assert program(*arguments).code == 0, arguments
    (program.data / "jarvis-daemon.log").write_text("2026-03-02 09:00:00+0000 INFO  Task 'backup' was here\n")
    return program


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the guide needs SQLite's shell")
def test_every_command_of_the_guide_does_what_it_says(home: Program, tmp_path: Path) -> None:
    assert len(blocks()) > 10
    for block in blocks():
        script = block.replace("jarvis-trio doctor", "jarvis-trio doctor || test $? -eq 1")  # no daemon runs
        done = subprocess.run(
            ["/bin/sh", "-euc", script],
            env=home.environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        complaints = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
        assert (done.returncode, complaints) == (0, []), (block, done)
    restored = home("list", "--json")
    assert '"save-memory"' in restored.out
    assert (tmp_path / "tasks.toml").read_text()
    assert (home.data / "put-aside/memory.db").exists()


def test_the_messages_that_the_guide_explains_are_the_programs_own() -> None:
    source = "\n".join(path.read_text() for path in (CHECKOUT / "jarvis_trio").rglob("*.py"))
    section = GUIDE.read_text().split("## The daemon does not start")[1].split("\n## ")[0]
    said = re.findall(r"^\| `(.*?)` \|", section, re.MULTILINE)
    assert len(said) > 6
    for message in said:
        for part in filter(None, message.split("...")):
            assert part.strip(" :") in source, message
