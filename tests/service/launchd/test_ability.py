"""Why launchd could not start what an old agent's plist names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.service.launchd.ability import why_it_cannot_start


def why(home: Path, **keys: Any) -> str | None:
    return why_it_cannot_start({"ProgramArguments": [sys.executable, str(home / "run.py")]} | keys, home)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a script."""
    (tmp_path / "run.py").write_text("")
    return tmp_path


def test_nothing_is_said_of_an_agent_that_can_start(home: Path) -> None:
    assert why(home, WorkingDirectory=str(home), StandardOutPath=str(home / "out.log")) is None


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"ProgramArguments": []}, "its plist names no program"),
        ({"ProgramArguments": ["/nowhere/python"]}, "its program /nowhere/python does not exist or cannot be run"),
        ({"ProgramArguments": ["python", "/nowhere/run.py"]}, "/nowhere/run.py does not exist"),
        ({"WorkingDirectory": "/nowhere"}, "its folder /nowhere does not exist"),
        ({"StandardOutPath": "/nowhere/out.log"}, "launchd cannot open its log /nowhere/out.log"),
        ({"StandardErrorPath": "/nowhere/err.log"}, "launchd cannot open its log /nowhere/err.log"),
    ],
)
def test_what_is_missing_is_named(home: Path, keys: dict[str, Any], says: str) -> None:
    assert why(home, **keys) == says


def test_what_macos_closes_to_agents_is_named(home: Path) -> None:
    script = home / "Documents/run.py"
    script.parent.mkdir()
    script.write_text("")
    assert f"{script} is in" in (why(home, ProgramArguments=[sys.executable, str(script)]) or "")
