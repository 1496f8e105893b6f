"""The program's log: where it goes, and what a line looks like.

The standard library's logging does it: structlog and loguru were left, since they cost more
time at the start than all the rest of a command. The handlers sit on the root logger, so
that a wrapped application's warnings land in the same file; the program's own records are
those of the logger `jarvis_trio`. Only the daemon needs this module, and it imports sockets
anyway, which is what `logging.handlers` costs (8 ms).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from jarvis_trio.errors import SettingError
from jarvis_trio.text import printable

_BYTES_PER_FILE = 5_000_000
_OLD_FILES = 5
_SHORT_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_ATTRIBUTES_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def configure(
    log_file: Path,
    *,
    zone: Callable[[], tzinfo],
    stderr: TextIO | None,
    environment: Mapping[str, str] = os.environ,
    json_lines: bool = False,
) -> None:
    """Sends the log to `log_file`, which is rotated, and to `stderr`; each event once to each.

    Times are shown as local in what `zone` returns at that moment. `stderr` gets nothing where
    it is the log file itself, and only what is fatal under launchd (whose `environment` tells),
    as launchd writes it to a file that nobody ever rotates. What an earlier call set up is
    replaced. Raises SettingError where `log_file` cannot be written.
    """
    handlers: list[logging.Handler] = [_opened(log_file, stderr)]
    if stderr is not None and not _is_file(stderr, log_file):
        handlers.append(logging.StreamHandler(stderr))
        if _nobody_reads(stderr, environment):
            handlers[-1].setLevel(logging.CRITICAL)
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, _ReadableLines)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(_JsonLines(zone) if json_lines else _ReadableLines(zone))
        root.addHandler(handler)
    logging.getLogger("jarvis_trio").setLevel(logging.INFO)
    logging.raiseExceptions = False  # by itself logging answers a full disk with a traceback for each event


class _LogFile(RotatingFileHandler):
    """A log file that only its owner may read, and that complains once of what it cannot write."""

    def __init__(self, path: Path, stderr: TextIO | None) -> None:
        self._complaints_to = stderr
        super().__init__(
            path, maxBytes=_BYTES_PER_FILE, backupCount=_OLD_FILES, encoding="utf-8", errors="backslashreplace"
        )

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_open_for_owner)

    def handleError(self, record: logging.LogRecord) -> None:
        stream, self._complaints_to = self._complaints_to, None
        if stream is not None:
            with suppress(OSError, ValueError):
                print(f"cannot write to the log {self.baseFilename}: {sys.exception()}", file=stream, flush=True)


class _ReadableLines(logging.Formatter):
    """A line for each event, and below it, indented, where its error came from."""

    def __init__(self, zone: Callable[[], tzinfo]) -> None:
        super().__init__()
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        level = _SHORT_LEVELS.get(record.levelname, record.levelname)
        event = f"{self._time(record):%Y-%m-%d %H:%M:%S%z} {level:<5} {printable(_with_task(record))}"
        # Whatever an exception's text holds, none of its lines can pass for an event.
        return "\n    ".join([event, *(printable(line) for line in self._traceback(record).splitlines())])

    def _time(self, record: logging.LogRecord) -> datetime:
        return datetime.fromtimestamp(record.created, self._zone())

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class _JsonLines(_ReadableLines):
    """A JSON object for each event: time, level, logger, message, what `extra` held, and exception.

    JSON's own escapes keep control characters out of the file, and everything in the value.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": self._time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := self._traceback(record):
            fields["exception"] = trace
        extra = {name: value for name, value in vars(record).items() if name not in _ATTRIBUTES_OF_EVERY_RECORD}
        return json.dumps(extra | fields, default=str)


def _with_task(record: logging.LogRecord) -> str:
    """The message; where a handler says it, also of which task, which `extra` holds."""
    message = record.getMessage()
    task = getattr(record, "task", None)
    return message if task is None or repr(task) in message else f"Task {task!r}: {message}"


def _opened(log_file: Path, stderr: TextIO | None) -> _LogFile:
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _LogFile(log_file, stderr)
    except OSError as error:
        raise SettingError(
            f"cannot write the log {log_file}: {error.strerror}; set DAEMON_LOG_FILE to a file that you may write"
        ) from None


def _open_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_file(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (OSError, ValueError):  # a stream without a descriptor, or a closed one
        return False


def _nobody_reads(stderr: TextIO, environment: Mapping[str, str]) -> bool:
    # launchd names the job in here. In Terminal it is "0", and in other terminals the application's name.
    return environment.get("XPC_SERVICE_NAME", "0") not in ("", "0") and not stderr.isatty()
