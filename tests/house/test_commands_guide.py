"""docs/commands-that-run.md: each recipe does what it says, typed by the shell that a reader has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_world import CHECKOUT, Program

GUIDE = CHECKOUT / "docs/commands-that-run.md"


def recipe(heading: str) -> str:
    """The commands under a heading."""
    found = re.search(rf"^### {re.escape(heading)}\n.*?```sh\n(.*?)```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def reader(program: Program, tmp_path: Path) -> Program:
    """A reader with the program on PATH, a project `report` in the home folder, and a database."""
    home = tmp_path / "home"
    write_program(tmp_path / "bin" / "jarvis-trio", f'#!/bin/sh\nexec "{sys.executable}" -m jarvis_trio "$@"\n')
    write_program(home / "report/.venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (home / "report/report.py").write_text("import os; print('reported with', len(os.environ['API_KEY']), 'letters')\n")
    write_program(home / "report/load.sh", "#!/bin/sh\necho loaded\n")
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    program.environment |= {"PATH": path, "DATA": str(program.data), "HOME": str(home)}
    assert program("init").code == 0
    return program


def follow(reader: Program, heading: str) -> str:
    """Type the recipe; returns what it prints."""
    done = subprocess.run(
        ["/bin/sh", "-euc", recipe(heading)],
        env=reader.environment,
        cwd=reader.environment["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done
    return done.stdout


pytestmark = [pytest.mark.slow, pytest.mark.thorough]  # each starts the program four times


def test_a_program_of_a_venv_with_a_key(reader: Program) -> None:
    out = follow(reader, "A program of a venv, with a key")
    assert out.endswith("reported with 8 letters\n")
    for said in (reader("export").out, reader("history", "--json").out, reader("show", "report").out):
        assert "your-key" not in said
    assert b"your-key" not in (reader.data / "memory.db").read_bytes()


def test_a_pipe(reader: Program) -> None:
    assert "report" in follow(reader, "A pipe")
    assert "sizes" in reader("history").out


def test_a_long_backup(reader: Program) -> None:
    follow(reader, "A long backup")
    assert (Path(reader.environment["HOME"]) / "archive.tar.gz").stat().st_size > 0
    assert "timeout:" in reader("show", "archive").out
    assert "none" in reader("show", "archive").out


@pytest.mark.skipif(shutil.which("flock") is None, reason="this machine has no flock")
def test_a_job_that_must_not_overlap_anothers(reader: Program) -> None:
    assert "loaded" in follow(reader, "A job that must not overlap another's")


def test_output_into_a_file_of_yours(reader: Program) -> None:
    follow(reader, "Output into a file of yours")
    assert (Path(reader.environment["HOME"]) / "report/load.log").read_text() == "loaded\n"
