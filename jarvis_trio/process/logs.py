"""The program's log: where it goes, and what a line looks like.

The standard library's logging does it. structlog and loguru were considered and rejected:
they cost more time at the start than all the rest of a command. Only the daemon needs this.

Guarantees:

- Nobody waits for the log: `sinks` writes it in threads of its own.
- The program's own events, those of the logger `jarvis_trio`, go to our destinations and to no
  other. A logging handler that code of a task adds may raise or hang: it harms no tick (law 4).
- The warnings of a wrapped application land in the same file: the destinations are the root
  logger's as well.
- What such code takes away (`dictConfig` and `fileConfig` disable all loggers, `force=True` removes
  the root's handlers) is put back by `Log.keep`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TextIO

from jarvis_trio.errors import SettingError
from jarvis_trio.notation.text import counted, printable
from jarvis_trio.permission import permission_fix
from jarvis_trio.process.sinks import BYTES_PER_FILE, MOST_LINES_WAITING, LogFile, Sink, StreamTarget

_ROOT = logging.getLogger()
_OURS = logging.getLogger("jarvis_trio")
_logger = logging.getLogger(__name__)

_SHORT_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}
_ATTRIBUTES_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime"}

LONGEST_TEXT = 20_000
"""How many characters of a message or a traceback are written: its beginning and its end.

A row may have a name of a megabyte, and each of its runs would fill a file of the log.
"""

DRAIN_SECONDS = 1.0
"""How long the end waits for lines that are not written yet."""


@contextmanager
def logging_to(
    log_file: Path,
    *,
    zone: Callable[[], tzinfo],
    stderr: TextIO | None,
    environment: Mapping[str, str] = os.environ,
    json_lines: bool = False,
    bytes_per_file: int = BYTES_PER_FILE,
    most_lines_waiting: int = MOST_LINES_WAITING,
) -> Iterator[Log]:
    """Within the block the log goes to `log_file`, which is rotated, and to `stderr`.

    Each event is written once to each. `stderr` gets nothing if it is the log file itself, and
    only what is fatal under launchd, which writes it to a file that nobody ever rotates.

    Args:
        log_file: a regular file. Its folder is made if it is missing.
        zone: the zone of the times, asked for each line.
        stderr: the stream beside the file; None if there is none.
        environment: tells whether launchd has started this process.
        json_lines: whether a line is a JSON object.
        bytes_per_file: how large the file grows before it is rotated.
        most_lines_waiting: how many lines may wait to be written; others are dropped and counted.

    Raises SettingError if `log_file` cannot be written or is not a regular file.
    """
    formatter = _JsonLines(zone) if json_lines else _ReadableLines(zone)
    handlers = _handlers(log_file, stderr, environment, formatter, bytes_per_file, most_lines_waiting)
    for handler in handlers:
        handler.setFormatter(formatter)
    _OURS.setLevel(logging.INFO)
    logging.raiseExceptions = False  # logging itself answers a bad message with a traceback for each event

    log = Log(handlers)
    log.attach()
    try:
        yield log
    finally:
        log.detach()
        for handler in handlers:
            handler.sink.close(DRAIN_SECONDS / len(handlers))


class Log:
    """Ties the log's destinations to `logging`, which all code in this process shares.

    Args:
        handlers: one for each destination.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        self._handlers = list(handlers)

    def attach(self) -> None:
        """Have all events come to the destinations: ours to them alone."""
        _OURS.handlers[:] = self._handlers
        _OURS.propagate = False
        for handler in self._handlers:
            _ROOT.addHandler(handler)  # which does nothing if it is there

    def detach(self) -> None:
        """Leave `logging` as it was."""
        _OURS.propagate = True
        for handler in self._handlers:
            _OURS.removeHandler(handler)
            _ROOT.removeHandler(handler)

    def keep(self) -> None:
        """Put back what code of a task has changed, and say so. It costs an idle tick nothing."""
        if self._is_attached():
            return
        self.attach()
        logging.disable(logging.NOTSET)
        for name, logger in _ROOT.manager.loggerDict.items():
            if isinstance(logger, logging.Logger) and f"{name}.".startswith("jarvis_trio."):
                logger.disabled = False
        _logger.warning("Code in this process had changed where the log goes; it goes to its places again")

    def last_words(self, message: str) -> None:
        """Write a line at once, as the process ends: its descriptors may be closed, or others."""
        record = logging.LogRecord(_logger.name, logging.CRITICAL, __file__, 0, message, None, None)
        for handler in self._handlers:
            if isinstance(handler, _SinkHandler):
                handler.sink.write_apart(f"{handler.format(record)}\n")

    def _is_attached(self) -> bool:
        if _logger.disabled or _OURS.propagate or _ROOT.manager.disable:
            return False
        return self._handlers == _OURS.handlers and all(handler in _ROOT.handlers for handler in self._handlers)


class _SinkHandler(logging.Handler):
    """Makes a line of each event, and has it written without waiting for that."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # logging's own way with a message that cannot be formatted
            self.handleError(record)
        else:
            self.sink.put(f"{line}\n")


def _handlers(
    log_file: Path,
    stderr: TextIO | None,
    environment: Mapping[str, str],
    formatter: logging.Formatter,
    bytes_per_file: int,
    most_lines_waiting: int,
) -> list[_SinkHandler]:
    def dropped(count: int) -> str:
        text = f"{counted(count, 'line')} dropped: they could not be written in time"
        record = logging.LogRecord("jarvis_trio", logging.WARNING, __file__, 0, text, None, None)
        return f"{formatter.format(record)}\n"

    told = None if stderr is None else Sink(StreamTarget(stderr), dropped, most_lines_waiting)
    file = _opened(log_file, told, bytes_per_file)
    handlers = [_SinkHandler(Sink(file, dropped, most_lines_waiting))]
    if told is not None and stderr is not None and not _is_file(stderr, log_file):
        handlers.append(_SinkHandler(told))
        if _nobody_reads(stderr, environment):
            handlers[-1].setLevel(logging.CRITICAL)
    return handlers


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
        return _bounded(self.formatException(record.exc_info)) if record.exc_info else ""


class _JsonLines(_ReadableLines):
    """A JSON object for each event: time, level, logger, message, what `extra` held, and exception.

    JSON's own escapes keep control characters out of the file, and everything in the value.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": self._time(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _bounded(record.getMessage()),
        }
        if trace := self._traceback(record):
            fields["exception"] = trace
        extra = {
            name: _bounded(value) if isinstance(value, str) else value
            for name, value in vars(record).items()
            if name not in _ATTRIBUTES_OF_EVERY_RECORD
        }
        return json.dumps(extra | fields, default=str)


def _with_task(record: logging.LogRecord) -> str:
    """The message, with the task's name if a handler said it; `extra` holds that."""
    message = record.getMessage()
    task = getattr(record, "task", None)
    return _bounded(message if task is None or repr(task) in message else f"Task {task!r}: {message}")


def _bounded(text: str) -> str:
    """`text`; the middle of a long one is left out."""
    left_out = len(text) - LONGEST_TEXT
    if left_out <= 0:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}… ({left_out:,} characters left out) …{text[-half:]}"


def _opened(log_file: Path, told: Sink | None, bytes_per_file: int) -> LogFile:
    try:
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LogFile(log_file, (lambda line: None) if told is None else told.put, bytes_per_file)
    except OSError as error:
        raise SettingError(
            f"cannot write the log {log_file}: {error.strerror}",
            fix=permission_fix(log_file, error, "set DAEMON_LOG_FILE to a regular file that you may write"),
        ) from None


def _is_file(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (OSError, ValueError):  # a stream without a descriptor, or a closed one
        return False


def _nobody_reads(stderr: TextIO, environment: Mapping[str, str]) -> bool:
    # launchd puts the job's name here. Terminal puts "0", other terminals their application's name.
    return environment.get("XPC_SERVICE_NAME", "0") not in ("", "0") and not stderr.isatty()
