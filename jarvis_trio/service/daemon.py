"""What a service manager is to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = ("-m", "jarvis_trio")

# Beyond the longest handler: 5 s from TERM to KILL, and a database that another program holds.
EXIT_MARGIN_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """The daemon of one user, as a service is to run it. Every path is absolute.

    Args:
        home: the user's home folder.
        python: the venv's interpreter. Its link is not resolved: the link makes it the venv's.
        working_directory: the folder to run in.
        settings: the settings in force, by variable, to check them and to choose limits.
        environment: the variables that the service must carry, since nothing else tells them.
        longest_timeout_seconds: the longest time limit that a task has of its own; 0 without one.
        arguments: what follows `-m jarvis_trio`.
    """

    home: Path
    python: Path
    working_directory: Path
    settings: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    longest_timeout_seconds: int = 0
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The words of its command line."""
        return [str(self.python), *PROGRAM, *self.arguments]

    @property
    def database(self) -> Path | None:
        """The file that must exist before it starts; None if the database is a server's."""
        return None if self.settings.get("JARVIS_DATABASE_URL") else Path(self.settings["MEMORY_DB_PATH"])

    @property
    def log(self) -> Path:
        """The log that it writes and rotates itself."""
        return Path(self.settings["DAEMON_LOG_FILE"])

    @property
    def stop_seconds(self) -> int:
        """How long a stop may take: the longest handler and a margin, so that a tick can finish."""
        handler_timeout = int(self.settings["SCHEDULER_HANDLER_TIMEOUT_SECONDS"])
        return max(handler_timeout, self.longest_timeout_seconds) + EXIT_MARGIN_SECONDS

    def paths(self) -> Iterator[Path]:
        """Every path that it opens, as far as its settings and arguments tell."""
        yield self.python
        yield self.working_directory
        values = (*self.settings.values(), *self.arguments)
        yield from (Path(value) for value in values if value.startswith("/"))
