"""The log: its destinations, with real files, and its lines."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import os
import re
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, TextIO

import pytest

from jarvis_trio.errors import SettingError
from jarvis_trio.process import logs
from tests.support.core_fakes import PATIENCE

DENVER = timezone(timedelta(hours=-7))
LOGGER = logging.getLogger("jarvis_trio.daemon")
Configure = Callable[..., logs.Log]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jarvis-daemon.log"


@pytest.fixture
def configure(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """`logs.logging_to` for `log_file`, in Denver, until the end of the test."""
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    monkeypatch.setattr(logging.getLogger("jarvis_trio"), "level", logging.NOTSET)
    with ExitStack() as stack:

        def configured(path: Path = log_file, *, stderr: TextIO | None = None, **options: Any) -> logs.Log:
            options = {"environment": {}, **options}
            return stack.enter_context(logs.logging_to(path, zone=lambda: DENVER, stderr=stderr, **options))

        yield configured


def content(file: Path) -> str:
    """What the log file holds when all is written."""
    drain()
    return file.read_text("utf-8")


def said(stderr: io.StringIO) -> str:
    """What stderr got when all is written."""
    drain()
    return stderr.getvalue()


def drain() -> None:
    for handler in logging.getLogger().handlers:
        if hasattr(handler, "sink"):
            assert handler.sink.drain(PATIENCE)


def fail() -> None:
    try:
        raise ValueError("bad\n2026-11-21 19:31:05-0700 INFO  forged\x1b[2J")
    except ValueError:
        LOGGER.exception("Task %r failed", "tidy")


def test_an_event_is_a_line_with_local_time_level_and_message(configure: Configure, log_file: Path) -> None:
    configure()
    record = logging.LogRecord("jarvis_trio", logging.INFO, __file__, 1, "Daemon %s", ("started",), None)
    record.created = 1795314665.5
    logging.getLogger().handle(record)
    assert content(log_file) == "2026-11-21 19:31:05-0700 INFO  Daemon started\n"


@pytest.mark.parametrize(
    ("level", "shown"), [(logging.WARNING, " WARN  x"), (logging.ERROR, " ERROR x"), (logging.CRITICAL, " FATAL x")]
)
def test_every_level_takes_the_same_width(level: int, shown: str, configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.log(level, "x")
    assert content(log_file).rstrip("\n").endswith(shown)


def test_each_event_is_written_once_to_each_destination(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr)
    LOGGER.info("Tick done")
    assert content(log_file).count("Tick done") == 1
    assert said(stderr) == content(log_file)


def test_debug_is_left_out_and_of_other_loggers_only_warnings_come_in(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.debug("detail")
    logging.getLogger("chatty").info("chat")
    logging.getLogger("chatty").warning("trouble")
    assert [line[31:] for line in content(log_file).splitlines()] == ["trouble"]


def test_stderr_gets_nothing_where_it_is_the_log_file(configure: Configure, log_file: Path) -> None:
    log_file.parent.mkdir()
    with log_file.open("a") as stderr:
        configure(stderr=stderr)
        LOGGER.info("Tick done")
    assert content(log_file).count("Tick done") == 1


def test_under_launchd_stderr_gets_only_what_is_fatal(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr, environment={"XPC_SERVICE_NAME": "com.chg.jarvis-daemon"})
    LOGGER.error("Tick failed")
    LOGGER.critical("Daemon failed")
    assert "Tick failed" not in said(stderr)
    assert "Daemon failed" in said(stderr)
    assert "Tick failed" in content(log_file)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "name"), [(io.StringIO(), "0"), (io.StringIO(), ""), (Terminal(), "application.com.microsoft.VSCode.1")]
)
def test_in_a_terminal_of_a_mac_stderr_gets_everything(stderr: io.StringIO, name: str, configure: Configure) -> None:
    configure(stderr=stderr, environment={"XPC_SERVICE_NAME": name})
    LOGGER.info("Tick done")
    assert "Tick done" in said(stderr)


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_a_process_without_stderr_logs_to_the_file(
    stderr: str | None, configure: Configure, log_file: Path, tmp_path: Path
) -> None:
    stream = (tmp_path / "stderr").open("w")
    stream.close()
    configure(stderr=stream if stderr else None)
    LOGGER.info("Tick done")
    assert "Tick done" in content(log_file)


def test_control_characters_reach_no_destination(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr)
    LOGGER.info("Task %s", "a\n2026-11-21 19:31:05-0700 INFO  forged\x1b[2J\u202e\u2028\udcff")
    (line,) = content(log_file).splitlines()
    assert line.endswith(r"Task a\n2026-11-21 19:31:05-0700 INFO  forged\x1b[2J\u202e\u2028\udcff")
    assert said(stderr) == line + "\n"


def test_a_traceback_keeps_its_lines_indented_and_without_control_characters(
    configure: Configure, log_file: Path
) -> None:
    configure()
    fail()
    event, *trace = content(log_file).splitlines()
    assert event.endswith("ERROR Task 'tidy' failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in trace)
    assert trace[-1] == r"    2026-11-21 19:31:05-0700 INFO  forged\x1b[2J"


def test_a_readable_line_names_the_task_that_extra_holds_once(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.info("connecting", extra={"task": "tidy\nup"})
    LOGGER.info("Task %r ended", "tidy", extra={"task": "tidy"})
    events = [line.partition("INFO  ")[2] for line in content(log_file).splitlines()]
    assert events == [r"Task 'tidy\nup': connecting", "Task 'tidy' ended"]


def test_json_lines_have_stable_names_and_what_extra_held(configure: Configure, log_file: Path) -> None:
    configure(json_lines=True)
    LOGGER.info("Ran %s", "a\n\x1b", extra={"task": "tidy\x9b", "run_id": 7, "path": Path("/x"), "level": "mine"})
    (line,) = content(log_file).splitlines()
    assert line.isprintable()
    event = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-07:00", event.pop("time"))
    assert event == {
        "level": "INFO",
        "logger": "jarvis_trio.daemon",
        "message": "Ran a\n\x1b",
        "task": "tidy\x9b",
        "run_id": 7,
        "path": "/x",
    }


def test_json_lines_hold_the_traceback(configure: Configure, log_file: Path) -> None:
    configure(json_lines=True)
    fail()
    (line,) = content(log_file).splitlines()
    assert json.loads(line)["exception"].startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("json_lines", [False, True])
def test_of_a_long_text_the_beginning_and_the_end_are_written(
    json_lines: bool, configure: Configure, log_file: Path
) -> None:
    configure(json_lines=json_lines)
    LOGGER.info("Task %r: executed", "n" * 1_000_000, extra={"task": "n" * 1_000_000})
    try:
        raise ValueError("v" * 1_000_000 + " the end")
    except ValueError:
        LOGGER.exception("failed")
    text = content(log_file)
    assert len(text) < 5 * logs.LONGEST_TEXT
    assert "Task 'nnn" in text
    assert "nnn': executed" in text
    assert "ValueError: vvv" in text
    assert "vvv the end" in text
    assert text.count("characters left out") == (3 if json_lines else 2)


def test_files_are_rotated_and_only_their_owner_can_read_them(configure: Configure, log_file: Path) -> None:
    configure(bytes_per_file=1000)
    for number in range(200):
        LOGGER.info("Event %d", number)
    drain()
    files = sorted(log_file.parent.iterdir())
    assert [file.name for file in files] == ["jarvis-daemon.log", *(f"jarvis-daemon.log.{n}" for n in range(1, 6))]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "Event 199" in content(log_file)
    assert stat.S_IMODE(log_file.parent.stat().st_mode) == 0o700


def test_a_log_that_cannot_be_opened_is_refused_in_one_line(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^cannot write the log .*: Is a directory; set DAEMON_LOG_FILE to [^\n]+$"):
        configure(tmp_path)


@pytest.mark.law(4)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")], ids=["fifo", "device"])
def test_what_is_no_regular_file_is_refused_in_one_line(
    make: Callable[[Path], None], configure: Configure, log_file: Path
) -> None:
    log_file.parent.mkdir()
    make(log_file)
    with pytest.raises(SettingError, match=r"^cannot write the log .*; set DAEMON_LOG_FILE to a regular file[^\n]+$"):
        configure()


def test_a_full_disk_raises_nothing_and_is_told_once(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr)
    with no_file_grows():
        for _ in range(20):
            LOGGER.info("Tick done")
        told = [line for line in said(stderr).splitlines() if "Tick done" not in line]
    LOGGER.info("There is room again")
    assert told == [f"cannot write to the log {log_file}: [Errno 27] File too large"]
    assert "There is room again" in content(log_file)


@contextmanager
def no_file_grows() -> Iterator[None]:
    """As on a full disk; Python ignores the signal that comes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("move", [Path.unlink, lambda path: path.rename(path.with_suffix(".old"))], ids=["rm", "mv"])
def test_a_log_that_is_moved_away_is_opened_again(
    move: Callable[[Path], None], configure: Configure, log_file: Path
) -> None:
    configure()
    LOGGER.info("before")
    drain()
    move(log_file)
    LOGGER.info("after")
    (line,) = content(log_file).splitlines()
    assert line.endswith("after")
    assert stat.S_IMODE(log_file.stat().st_mode) == 0o600


def test_a_log_whose_folder_is_gone_comes_back_with_the_folder(configure: Configure, log_file: Path) -> None:
    configure()
    log_file.unlink()
    log_file.parent.rmdir()
    LOGGER.info("lost")
    drain()
    assert not log_file.parent.exists()
    log_file.parent.mkdir()
    LOGGER.info("here")
    assert "here" in content(log_file)


def test_a_message_that_cannot_be_formatted_raises_nothing(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.info("one %s two %s", "argument")
    LOGGER.info("Tick done")
    assert "Tick done" in content(log_file)


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("no such server")


@pytest.mark.law(4)
def test_a_logging_handler_of_a_task_that_raises_harms_no_event_of_ours(configure: Configure, log_file: Path) -> None:
    configure()
    raising = Raising()
    logging.getLogger().addHandler(raising)
    try:
        LOGGER.warning("Task %r failed", "tidy")
    finally:
        logging.getLogger().removeHandler(raising)
    assert content(log_file).count("Task 'tidy' failed") == 1


TAKEN_AWAY: dict[str, Callable[[], object]] = {
    "dictConfig": lambda: logging.config.dictConfig({"version": 1}),
    "basicConfig": lambda: logging.basicConfig(force=True),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "a handler of its own": lambda: logging.getLogger("jarvis_trio").addHandler(Raising()),
    "no handlers": lambda: logging.getLogger("jarvis_trio").handlers.clear(),
}


@pytest.fixture
def put_back() -> Iterator[None]:
    """Leave `logging` to the other tests as it was."""
    root, loggers = logging.getLogger(), logging.getLogger().manager.loggerDict
    before = root.handlers[:]
    disabled = {name: logger.disabled for name, logger in loggers.items() if isinstance(logger, logging.Logger)}
    yield
    root.handlers[:] = before
    logging.disable(logging.NOTSET)
    for name, was in disabled.items():
        logging.getLogger(name).disabled = was


@pytest.mark.law(4)
@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize("how", TAKEN_AWAY)
def test_what_a_task_takes_away_from_the_log_is_put_back(how: str, configure: Configure, log_file: Path) -> None:
    log = configure()
    TAKEN_AWAY[how]()
    log.keep()
    log.keep()
    LOGGER.warning("Task %r failed", "tidy")
    logging.getLogger(f"an application that calls {how}").warning("its own")
    assert [line.split(maxsplit=3)[3] for line in content(log_file).splitlines()] == [
        "Code in this process had changed where the log goes; it goes to its places again",
        "Task 'tidy' failed",
        "its own",
    ]


@pytest.mark.usefixtures("put_back")
def test_the_end_of_the_log_leaves_nothing_of_it_behind(configure: Configure, log_file: Path) -> None:
    before = logging.getLogger().handlers[:]
    with logs.logging_to(log_file, zone=lambda: DENVER, stderr=None):
        pass
    assert logging.getLogger().handlers == before
    assert (logging.getLogger("jarvis_trio").handlers, logging.getLogger("jarvis_trio").propagate) == ([], True)
