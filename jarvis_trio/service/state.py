"""How the daemon's service stands: one value, from which `status` and `doctor` make their words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path


class Standing(Enum):
    """What the user has to know first."""

    NOT_INSTALLED = auto()
    NOT_LOADED = auto()
    """Its file is there, and the service manager does not hold it."""
    DOWN = auto()
    """It is loaded and has no process."""
    OUTDATED = auto()
    """It runs, and installing it again would change its file."""
    RUNNING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The service as its manager tells it.

    Attributes:
        name: what the manager calls it.
        place: where it is loaded, such as `gui/501` or `the user's systemd`.
        file: its property list or unit file, whether it exists or not.
        pid: its process; None if it has none or the manager does not tell.
        state: the manager's own word; `last_exit` how it ended last.
        up_to_date: whether `file` is what `install` would write now; None without a file.
        arguments: what follows `-m jarvis_trio`.
        log: the daemon's own log.
        crash_log: where its last words are: a file, or the command that shows them.
    """

    name: str
    place: str
    file: Path
    installed: bool
    loaded: bool
    running: bool
    pid: int | None
    state: str | None
    last_exit: str | None
    up_to_date: bool | None
    arguments: tuple[str, ...]
    log: str
    crash_log: str

    @property
    def standing(self) -> Standing:
        """The one thing to know first."""
        if not self.loaded:
            return Standing.NOT_LOADED if self.installed else Standing.NOT_INSTALLED
        if not self.running:
            return Standing.DOWN
        return Standing.OUTDATED if self.up_to_date is False else Standing.RUNNING

    @property
    def says(self) -> str:
        """How it stands, in one sentence without a full stop."""
        match self.standing:
            case Standing.NOT_INSTALLED:
                return f"{self.name} is not installed"
            case Standing.NOT_LOADED:
                return f"{self.name} is installed and not loaded"
            case Standing.DOWN:
                state = f" ({self.state})" if self.state else ""
                return f"{self.name} does not run{state}{exit_words(self.last_exit)}"
            case Standing.OUTDATED:
                return f"{self.name} runs, but its file is not what installing it now would write"
            case Standing.RUNNING:
                return f"{self.name} runs in {self.place}, PID {self.pid or 'unknown'}"


def exit_words(ending: str | None) -> str:
    """What follows a sentence about a process that ended: its exit code, or what else is known of
    its end; nothing if nobody knows.
    """
    if not ending:
        return ""
    return f", last exit code {ending}" if ending.isdecimal() else f", {ending}"
