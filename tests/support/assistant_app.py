"""The existing assistant as tests have it: its file, and an application of its shape, in a folder of its own.

`assistant/memory.db` was made by the assistant's own store and tools. `assistant/app/` is written for
the tests: it has the assistant's folders, names and traps, and a venv with a package that nobody else has.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import coverage

SUPPORT = Path(__file__).parent / "assistant"
HANDLERS, STORE = "scheduler.handlers:execute_handler", "memory.store:MemoryStore"
REGISTRY = "agent_registry=agents.registry:AgentRegistry:AGENT_CONFIGS_DIR"


def copy_database(folder: Path) -> Path:
    """The assistant's own file, to be changed; the clock of its tasks stands at 2026-11-28."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(SUPPORT / "memory.db", folder))


def make_application(folder: Path) -> Path:
    """The application with its database and its own venv."""
    shutil.copytree(SUPPORT / "app", folder)
    copy_database(folder / "data")
    (folder / "agent_configs").mkdir()
    (folder / "agent_configs/report_builder.yaml").touch()
    make_venv(folder / ".venv")
    return folder


def make_venv(folder: Path) -> None:
    """A venv whose packages are its own: a copy of one that is made once in a test process."""
    shutil.copytree(_bare_venv(), folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "only_in_its_venv.py").write_text('BRIEF = "# Good morning"\n')
    if MEASURED in os.environ:
        (packages / "measured.pth").write_text("import measured\n")
        (packages / "measured.py").write_text(
            MEASURE.format(os.environ[MEASURED], str(Path(coverage.__file__).parents[1]))
        )


@cache
def _bare_venv() -> Path:
    """By links and without pip; no file in it that matters tells its place."""
    folder = Path(tempfile.mkdtemp(prefix="jarvis-venv-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True, timeout=180)
    return folder


MEASURED = "COVERAGE_PROCESS_CONFIG"
"""Set in a process whose coverage is measured; runs of an application do not inherit it."""

MEASURE = """
import os, sys
os.environ["COVERAGE_PROCESS_CONFIG"] = {!r}
sys.path.append({!r})
import coverage
coverage.process_startup()
sys.path.pop()
del os.environ["COVERAGE_PROCESS_CONFIG"]
"""
"""What the interpreter of an application does at its start, so that our program in it is measured too."""
