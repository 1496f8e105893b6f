"""How this program is called: by a person in the current folder, and by others from anywhere."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "jarvis-trio"


def typed_here() -> str:
    """What a person types in the current folder: the name if it is on PATH, else a path."""
    if shutil.which(NAME):
        return NAME
    script = _script()
    if script is None:
        return "python -m jarvis_trio"
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was deleted
        return shlex.quote(str(script))
    # From the root a relative path looks like a mistake, and a shell does not run a bare name.
    is_near = script.is_relative_to(here) and here not in (Path(here.root), script.parent)
    return shlex.quote(str(script.relative_to(here) if is_near else script))


def words_anywhere() -> list[str]:
    """The words that start this program from any folder, whatever PATH is there."""
    script = _script()
    return [sys.executable, "-m", "jarvis_trio"] if script is None else [str(script)]


def _script() -> Path | None:
    """The script that an installation has put beside the interpreter, if there is one."""
    script = Path(sys.executable).with_name(NAME)
    return script if script.exists() else None
