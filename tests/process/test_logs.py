"""The log: its destinations, with real files, and its lines."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta, timezone
from pathlib import Path
from typing import TextIO

import pytest

from jarvis_trio.errors import SettingError
from jarvis_trio.process import logs

DENVER = timezone(timedelta(hours=-7))
LOGGER = logging.getLogger("jarvis_trio.daemon")
Configure = Callable[..., None]


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jarvis-daemon.log"


@pytest.fixture
def configure(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """`logs.configure` for `log_file`, in Denver; what it did to logging is undone."""
    root = logging.getLogger()
    before = list(root.handlers)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    monkeypatch.setattr(logging.getLogger("jarvis_trio"), "level", logging.NOTSET)

    def configured(
        path: Path = log_file,
        *,
        stderr: TextIO | None = None,
        environment: Mapping[str, str] | None = None,
        json_lines: bool = False,
    ) -> None:
        logs.configure(path, zone=lambda: DENVER, stderr=stderr, environment=environment or {}, json_lines=json_lines)

    yield configured
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        with suppress(OSError):  # what a full disk did not take is tried again
            handler.close()


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
    assert log_file.read_text("utf-8") == "2026-11-21 19:31:05-0700 INFO  Daemon started\n"


@pytest.mark.parametrize(
    ("level", "shown"), [(logging.WARNING, " WARN  x"), (logging.ERROR, " ERROR x"), (logging.CRITICAL, " FATAL x")]
)
def test_every_level_takes_the_same_width(level: int, shown: str, configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.log(level, "x")
    assert log_file.read_text("utf-8").rstrip("\n").endswith(shown)


def test_each_event_is_written_once_to_each_destination(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr)
    LOGGER.info("Tick done")
    assert log_file.read_text("utf-8").count("Tick done") == 1
    assert stderr.getvalue() == log_file.read_text("utf-8")


def test_a_second_configuration_replaces_the_first(configure: Configure, log_file: Path, tmp_path: Path) -> None:
    configure()
    configure(tmp_path / "other.log")
    LOGGER.info("Tick done")
    assert log_file.read_text("utf-8") == ""
    assert (tmp_path / "other.log").read_text("utf-8").count("Tick done") == 1


def test_debug_is_left_out_and_of_other_loggers_only_warnings_come_in(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.debug("detail")
    logging.getLogger("chatty").info("chat")
    logging.getLogger("chatty").warning("trouble")
    assert [line[31:] for line in log_file.read_text("utf-8").splitlines()] == ["trouble"]


def test_stderr_gets_nothing_where_it_is_the_log_file(configure: Configure, log_file: Path) -> None:
    log_file.parent.mkdir()
    with log_file.open("a") as stderr:
        configure(stderr=stderr)
        LOGGER.info("Tick done")
    assert log_file.read_text("utf-8").count("Tick done") == 1


def test_under_launchd_stderr_gets_only_what_is_fatal(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr, environment={"XPC_SERVICE_NAME": "com.chg.jarvis-daemon"})
    LOGGER.error("Tick failed")
    LOGGER.critical("Daemon failed")
    assert "Tick failed" not in stderr.getvalue()
    assert "Daemon failed" in stderr.getvalue()
    assert "Tick failed" in log_file.read_text("utf-8")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stderr", "name"), [(io.StringIO(), "0"), (io.StringIO(), ""), (Terminal(), "application.com.microsoft.VSCode.1")]
)
def test_in_a_terminal_of_a_mac_stderr_gets_everything(stderr: io.StringIO, name: str, configure: Configure) -> None:
    configure(stderr=stderr, environment={"XPC_SERVICE_NAME": name})
    LOGGER.info("Tick done")
    assert "Tick done" in stderr.getvalue()


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_a_process_without_stderr_logs_to_the_file(
    stderr: str | None, configure: Configure, log_file: Path, tmp_path: Path
) -> None:
    stream = (tmp_path / "stderr").open("w")
    stream.close()
    configure(stderr=stream if stderr else None)
    LOGGER.info("Tick done")
    assert "Tick done" in log_file.read_text("utf-8")


def test_control_characters_reach_no_destination(configure: Configure, log_file: Path) -> None:
    stderr = io.StringIO()
    configure(stderr=stderr)
    LOGGER.info("Task %s", "a\n2026-11-21 19:31:05-0700 INFO  forged\x1b[2J\u202e\u2028\udcff")
    (line,) = log_file.read_text("utf-8").splitlines()
    assert line.endswith(r"Task a\n2026-11-21 19:31:05-0700 INFO  forged\x1b[2J\u202e\u2028\udcff")
    assert stderr.getvalue() == line + "\n"


def test_a_traceback_keeps_its_lines_indented_and_without_control_characters(
    configure: Configure, log_file: Path
) -> None:
    configure()
    fail()
    event, *trace = log_file.read_text("utf-8").splitlines()
    assert event.endswith("ERROR Task 'tidy' failed")
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in trace)
    assert trace[-1] == r"    2026-11-21 19:31:05-0700 INFO  forged\x1b[2J"


def test_a_readable_line_names_the_task_that_extra_holds_once(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.info("connecting", extra={"task": "tidy\nup"})
    LOGGER.info("Task %r ended", "tidy", extra={"task": "tidy"})
    events = [line.partition("INFO  ")[2] for line in log_file.read_text("utf-8").splitlines()]
    assert events == [r"Task 'tidy\nup': connecting", "Task 'tidy' ended"]


def test_json_lines_have_stable_names_and_what_extra_held(configure: Configure, log_file: Path) -> None:
    configure(json_lines=True)
    LOGGER.info("Ran %s", "a\n\x1b", extra={"task": "tidy\x9b", "run_id": 7, "path": Path("/x"), "level": "mine"})
    (line,) = log_file.read_text("utf-8").splitlines()
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
    (line,) = log_file.read_text("utf-8").splitlines()
    assert json.loads(line)["exception"].startswith("Traceback (most recent call last):\n")


def test_files_are_rotated_and_only_their_owner_can_read_them(
    configure: Configure, log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_BYTES_PER_FILE", 1000)
    configure()
    for number in range(200):
        LOGGER.info("Event %d", number)
    files = sorted(log_file.parent.iterdir())
    assert [file.name for file in files] == ["jarvis-daemon.log", *(f"jarvis-daemon.log.{n}" for n in range(1, 6))]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "Event 199" in log_file.read_text("utf-8")
    assert stat.S_IMODE(log_file.parent.stat().st_mode) == 0o700


def test_a_log_that_cannot_be_opened_is_refused_in_one_line(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^cannot write the log .*: Is a directory; set DAEMON_LOG_FILE to [^\n]+$"):
        configure(tmp_path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a Linux device whose disk is always full")
def test_a_full_disk_raises_nothing_and_is_told_once(configure: Configure) -> None:
    stderr = io.StringIO()
    configure(Path("/dev/full"), stderr=stderr)
    for _ in range(2000):
        LOGGER.info("Tick done")
    told = [line for line in stderr.getvalue().splitlines() if "Tick done" not in line]
    assert told == ["cannot write to the log /dev/full: [Errno 28] No space left on device"]


def test_a_message_that_cannot_be_formatted_raises_nothing(configure: Configure, log_file: Path) -> None:
    configure()
    LOGGER.info("one %s two %s", "argument")
    LOGGER.info("Tick done")
    assert "Tick done" in log_file.read_text("utf-8")
