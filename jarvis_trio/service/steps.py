"""Steps that can be taken back: what a command is about to do, and doing it all or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jarvis_trio.errors import ServiceError

Emit = Callable[[str], None]


class Undo:
    """Takes back what was done so far, newest first."""

    def __init__(self, emit: Emit) -> None:
        self.problems: list[str] = []
        self._emit = emit
        self._actions: list[tuple[str, Callable[[], object]]] = []

    def add(self, says: str, action: Callable[[], object]) -> None:
        """Note that `action` takes back what is done next, in whole or in part."""
        self._actions.append((says, action))

    def take_back(self) -> None:
        """Take it all back.

        What cannot be taken back is noted in `problems`, and does not stop the rest.
        """
        while self._actions:
            says, action = self._actions.pop()
            self._emit(f"    taking back: {says}")
            try:
                action()
            except (ServiceError, OSError, KeyboardInterrupt) as error:
                self.problems.append(f"{says} ({_words(error)})")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, in words, and the function that does it and notes how to take it back."""

    says: str
    do: Callable[[Undo], object]


def perform(steps: Sequence[Step], emit: Emit) -> None:
    """Do the steps in order. If one fails, or Ctrl-C comes, take back those that were done.

    Raises ServiceError that says what failed, and whether everything is as it was.
    """
    undo = Undo(emit)
    try:
        with ExitStack() as unless_done:
            unless_done.callback(undo.take_back)
            for number, step in enumerate(steps, 1):
                emit(f"[{number}/{len(steps)}] {step.says}")
                step.do(undo)
            unless_done.pop_all()
    except (ServiceError, OSError, KeyboardInterrupt) as error:
        if undo.problems:
            by_hand = "do by hand what could not be taken back: " + ", ".join(undo.problems)
            raise ServiceError(_words(error), fix=by_hand) from error
        raise ServiceError(f"{_words(error)}; all that was done before has been taken back") from error


def _words(error: BaseException) -> str:
    return "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)


def make_folder(folder: Path, undo: Undo) -> None:
    """Make `folder` and each missing folder above it."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        undo.add(f"remove {place}", partial(_remove_if_empty, place))
        place.mkdir(0o755)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # a log in it, of why the daemon failed, is worth keeping
        folder.rmdir()


def move(source: Path, destination: Path, undo: Undo) -> None:
    """Move a file, or a link as it is, to a place that is free."""
    undo.add(f"move {destination} back to {source}", partial(_move_back, destination, source))
    shutil.move(source, destination)


def _move_back(destination: Path, source: Path) -> None:
    if not os.path.lexists(source):
        shutil.move(destination, source)


def copy(source: Path, destination: Path, undo: Undo) -> None:
    """Copy a file, or a link as it is, to a place that is free."""
    undo.add(f"remove {destination}", partial(destination.unlink, missing_ok=True))
    shutil.copy2(source, destination, follow_symlinks=False)


def write(path: Path, content: bytes, undo: Undo) -> None:
    """Write a file of mode 0644: launchd refuses a file that others may write."""
    _keep(path, undo)
    _put(path, content, 0o644)


def remove(path: Path, undo: Undo) -> None:
    """Remove a file of ours."""
    _keep(path, undo)
    path.unlink()


def _keep(path: Path, undo: Undo) -> None:
    """Note what is at `path`, to put it back: a link as a link, a file with its mode."""
    if path.is_symlink():
        undo.add(f"put back the link {path}", partial(_relink, path, os.readlink(path)))
    elif path.exists():
        undo.add(f"put back {path}", partial(_put, path, path.read_bytes(), path.stat().st_mode & 0o7777))
    else:
        undo.add(f"remove {path}", partial(path.unlink, missing_ok=True))


def _relink(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _put(path: Path, content: bytes, mode: int) -> None:
    """Replace the file at once: a reader sees the old content or the new, whole."""
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with ExitStack() as unless_done:
        unless_done.callback(os.unlink, unfinished)
        with open(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(unfinished, path)
        unless_done.pop_all()
