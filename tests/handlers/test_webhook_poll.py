"""The handler `webhook_poll`, with real files, the real tables and real crashes."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jarvis_trio.errors import HandlerError, StoreBusyError
from jarvis_trio.handlers.inbox import LARGEST_FILE_BYTES, open_inbox
from jarvis_trio.handlers.webhook_poll import Limits, WebhookPoll
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.assistant import AssistantTables
from tests.support.handler_calls import NOON, a_context, a_task

CHECKOUT = Path(__file__).parents[2]
OLD = timedelta(seconds=10)
LONG_NAME = "n" * 250 + ".json"


class Drop:
    """An inbox and the database that it is taken into."""

    def __init__(self, folder: Path) -> None:
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.store = MemoryStore(folder / "memory.db")

    def put(self, name: str, payload: object = None, *, age: timedelta = OLD) -> Path:
        """Drop a good file, last written before `age`."""
        content = {"source": "github", "event_type": "push", "payload": payload}
        return self.put_raw(name, json.dumps(content), age=age)

    def put_raw(self, name: str, content: bytes | str = "bad", *, age: timedelta = OLD) -> Path:
        path = self.inbox / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.date(path, age)
        return path

    def date(self, path: Path, age: timedelta = OLD) -> None:
        written_ns = round((NOON - age).timestamp() * 1e9)
        os.utime(path, ns=(written_ns, written_ns), follow_symlinks=False)

    def poll(self, now: datetime = NOON, limits: Limits = Limits()) -> dict[str, Any]:  # noqa: B008  # immutable
        return WebhookPoll(self.inbox, limits)(a_task(), a_context(self.store, now=now))

    def events(self) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.store.read("SELECT * FROM webhook_events ORDER BY id")]

    def payloads(self) -> list[Any]:
        """What the events say; a text is stored as it is, so JSON is not told from text here."""
        return [_meaning(row["payload"]) for row in self.store.read("SELECT payload FROM webhook_events ORDER BY id")]

    def notes(self) -> int:
        return len(self.store.read("SELECT * FROM webhook_files"))

    def names(self, folder: str = ".") -> set[str]:
        return {path.name for path in (self.inbox / folder).iterdir() if path.name.endswith((".json", ".txt"))}

    def reason(self, name: str) -> str:
        return (self.inbox / "failed" / f"{name}.reason.txt").read_text()


def _meaning(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


@pytest.fixture
def drop(tmp_path: Path) -> Iterator[Drop]:
    drop = Drop(tmp_path)
    yield drop
    drop.store.close()


def outcome(ingested: int = 0, failed: int = 0, waiting: int = 0) -> dict[str, Any]:
    return {"status": "ok", "ingested": ingested, "failed": failed, "waiting": waiting}


def test_a_file_becomes_an_event_and_moves_to_processed(drop: Drop) -> None:
    drop.put("a.json", {"ref": "main", "größe": [1, 2.5, None, True]})
    assert drop.poll() == outcome(ingested=1)
    payload = '{"ref": "main", "gr\\u00f6\\u00dfe": [1, 2.5, null, true]}'
    assert drop.events() == [(1, "github", "push", payload, "pending", "2026-06-15T12:00:00-06:00", None)]
    assert drop.names("processed") == {"a.json"}
    assert drop.names() == set()


def test_an_empty_or_missing_inbox_is_made_private(tmp_path: Path, drop: Drop) -> None:
    drop.inbox = tmp_path / "deep" / "inbox"
    assert drop.poll() == outcome()
    for folder in (drop.inbox, drop.inbox / "processed", drop.inbox / "failed"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_files_become_events_in_the_order_of_their_names_whatever_their_age(drop: Drop) -> None:
    for number in range(7):
        drop.put(f"{9 - number}.json", number, age=timedelta(seconds=100 - number))
    drop.poll(limits=Limits(batch_files=2))
    assert drop.payloads() == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("payload", [None, 0, [], {}, 2**70])
def test_a_payload_is_stored_as_json(drop: Drop, payload: object) -> None:
    drop.put("a.json", payload)
    assert drop.poll() == outcome(ingested=1)
    assert [event[3] for event in drop.events()] == [json.dumps(payload)]


@pytest.mark.parametrize("payload", ["", "text", "größe", '{"a": 1}', "\0", "two\nlines"])
def test_a_text_payload_is_stored_as_it_is(drop: Drop, payload: str) -> None:
    drop.put("a.json", payload)
    assert drop.poll() == outcome(ingested=1)
    assert [event[3] for event in drop.events()] == [payload]


def test_a_file_without_a_payload_has_an_empty_one(drop: Drop) -> None:
    drop.put_raw("a.json", '{"source": "s", "event_type": "t"}')
    assert drop.poll() == outcome(ingested=1)
    assert [event[1:4] for event in drop.events()] == [("s", "t", "")]


def test_numbers_as_source_or_type_are_stored_as_text(drop: Drop) -> None:
    drop.put_raw("a.json", '{"source": 7, "event_type": 2.5, "payload": ""}')
    assert drop.poll() == outcome(ingested=1)
    assert [event[1:4] for event in drop.events()] == [("7", "2.5", "")]


def test_a_byte_order_mark_is_ignored(drop: Drop) -> None:
    drop.put_raw("a.json", b'\xef\xbb\xbf{"source": "s", "event_type": "t", "payload": 1}')
    assert drop.poll() == outcome(ingested=1)


@pytest.mark.parametrize("name", ["a.txt", "a.json.tmp", "a.json.part", ".a.json", ".json", "json"])
def test_other_names_are_left_alone(drop: Drop, name: str) -> None:
    path = drop.put(name)
    assert drop.poll() == outcome()
    assert path.exists()


@pytest.mark.parametrize(
    ("age", "taken"),
    [
        (timedelta(seconds=1.9), False),
        (timedelta(seconds=2), True),
        (timedelta(0), False),
        (timedelta(seconds=-59), False),  # written while a long poll runs
        (timedelta(seconds=-61), True),  # the clock was set back
        (timedelta(days=-400), True),
    ],
)
def test_a_file_waits_until_it_was_not_written_for_two_seconds(drop: Drop, age: timedelta, taken: bool) -> None:
    drop.put("a.json", age=age)
    assert drop.poll() == (outcome(ingested=1) if taken else outcome(waiting=1))
    assert drop.names() == (set() if taken else {"a.json"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ('{"source": "s", "event_type": "t", "payload": 1} x', "is not JSON: Extra data"),
        ("[]", "is not a JSON object"),
        ('"text"', "is not a JSON object"),
        ('{"event_type": "t", "payload": 1}', "its source must be a text or a number"),
        ('{"source": true, "event_type": "t", "payload": 1}', "its source must be a text or a number"),
        ('{"source": "s", "event_type": null, "payload": 1}', "its event_type must be a text"),
        ('{"source": "s", "event_type": "t", "payload": "\\ud800"}', "is not UTF-8"),
        ('{"source": "s", "source": "s", "event_type": "t", "payload": 1}', "a key occurs twice"),
        ('{"source": "s", "event_type": "t", "payload": {"a": [{"b": 1, "b": 2}]}}', "a key occurs twice"),
        ('{"source": "s", "event_type": "t", "payload": NaN}', "NaN is not JSON"),
        ('{"source": "s", "event_type": "t", "payload": -Infinity}', "-Infinity is not JSON"),
        ('{"source": "s", "event_type": "t", "payload": 1e999}', "is not JSON: Out of range"),
        ('{"source": "s", "event_type": "t", "payload": %s}' % ("9" * 5000), "is not JSON: Exceeds the limit"),
        ('{"source": "\\ud800", "event_type": "t", "payload": 1}', "is not UTF-8"),
        (b'{"source": "\xff", "event_type": "t", "payload": 1}', "is not UTF-8"),
        ('{"source": "s", "event_type": "t", "payload": 1}'.encode("utf-16"), "is not UTF-8"),
        ('{"source": "s", "event_type": "t", "payload": ' + "[" * 400_000, "nested too deeply"),
        (b" " * (LARGEST_FILE_BYTES + 1), "has 1,048,577 bytes; at most 1,048,576"),
    ],
    ids=range(20),
)
@pytest.mark.law(4)
def test_law_4_a_bad_file_goes_to_failed_with_its_reason_and_stops_no_other(
    drop: Drop, content: bytes | str, reason: str
) -> None:
    drop.put_raw("bad.json", content, age=2 * OLD)
    drop.put("good.json")
    assert drop.poll() == outcome(ingested=1, failed=1)
    assert drop.names("failed") == {"bad.json", "bad.json.reason.txt"}
    assert drop.reason("bad.json").startswith("bad.json: ")
    assert reason in drop.reason("bad.json")
    assert drop.reason("bad.json").count("\n") == 1


def test_the_largest_file_is_taken(drop: Drop) -> None:
    frame = '{"source": "s", "event_type": "t", "payload": ""}'
    drop.put_raw("a.json", frame[:-2] + "x" * (LARGEST_FILE_BYTES - len(frame)) + frame[-2:])
    assert drop.poll() == outcome(ingested=1)


def make_fifo(path: Path, target: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path, target: Path) -> None:
    folder = os.getcwd()
    os.chdir(path.parent)  # the path of a socket has to be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(folder)


def make_folder(path: Path, target: Path) -> None:
    (path / "below").mkdir(parents=True)


def make_device(path: Path, target: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero: reading it would never end


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_fifo, "it is a FIFO, not a plain file"),
        (make_socket, "it is a socket, not a plain file"),
        (make_folder, "it is a folder, not a plain file"),
        (make_device, "it is a device, not a plain file"),
        (lambda path, target: path.symlink_to(target), "it is a symbolic link, not a plain file"),
        (lambda path, target: path.symlink_to("/no/such/file"), "it is a symbolic link, not a plain file"),
        (lambda path, target: path.hardlink_to(target), "it has other names (hard links)"),
    ],
    ids=["FIFO", "socket", "folder", "device", "link", "broken link", "hard link"],
)
def test_what_is_no_plain_file_is_never_read(
    drop: Drop, tmp_path: Path, make: Callable[[Path, Path], None], reason: str
) -> None:
    secret = drop.put("../secret.json", "secret")
    make(drop.inbox / "x.json", secret)
    drop.date(drop.inbox / "x.json")
    assert drop.poll() == outcome(failed=1)
    assert drop.events() == []
    assert drop.names("failed") == {"x.json", "x.json.reason.txt"}
    assert reason in drop.reason("x.json")
    assert "secret" in secret.read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_may_not_be_read_goes_to_failed(drop: Drop) -> None:
    drop.put("a.json").chmod(0)
    assert drop.poll() == outcome(failed=1)
    assert "cannot be read: Permission denied" in drop.reason("a.json")


@pytest.mark.parametrize("name", ["new\nline\x1b[2J.json", "ü.json", LONG_NAME, "…" * 83 + ".json", "-rf.json"])
def test_strange_names_are_taken(drop: Drop, name: str) -> None:
    drop.put(name)
    assert drop.poll() == outcome(ingested=1)
    assert drop.names("processed") == {name}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 only")
def test_a_name_that_is_no_text_is_taken(drop: Drop) -> None:
    name = os.fsdecode(b"\xff.json")
    drop.put(name)
    drop.put_raw(f"bad-{name}")
    assert drop.poll() == outcome(ingested=1, failed=1)
    assert drop.names("processed") == {name}


@pytest.mark.parametrize("name", [LONG_NAME, "new\nline.json"])
def test_the_reason_of_a_strange_name_has_a_name_that_fits(drop: Drop, name: str) -> None:
    drop.put_raw(name)
    assert drop.poll() == outcome(failed=1)
    [reason] = drop.names("failed") - {name}
    assert reason.endswith(".reason.txt")
    assert (drop.inbox / "failed" / reason).read_text().count("\n") == 1


@pytest.mark.parametrize("name", ["same.json", LONG_NAME, "ü" * 125 + ".json"])
def test_files_of_one_name_are_all_kept(drop: Drop, name: str) -> None:
    for number in range(3):
        drop.put(name, number)
        drop.poll()
        drop.put_raw(name)
        drop.poll()
    assert drop.payloads() == [0, 1, 2]
    assert len(drop.names("processed")) == 3
    failed = drop.names("failed")
    assert len(failed) == 6
    reasons = {file.removesuffix(".reason.txt") for file in failed if file.endswith(".reason.txt")}
    if len(name) < 100:
        assert reasons == {file for file in failed if file.endswith(".json")}


def test_the_same_content_twice_is_two_events(drop: Drop) -> None:
    drop.put("a.json", "same")
    drop.put("b.json", "same")
    assert drop.poll() == outcome(ingested=2)
    assert drop.payloads() == ["same", "same"]


def test_a_file_that_is_written_while_it_is_read_waits(drop: Drop) -> None:
    path = drop.put("a.json")

    def write_now(status: os.stat_result) -> bool:
        taken = drop.inbox / ".taken" / "a.json"
        if taken.exists():
            drop.put(".taken/a.json", "rewritten")
        return True

    with open_inbox(drop.inbox, write_now) as inbox:
        assert [file.name for file in inbox.take(10)] == ["a.json"]
        assert inbox.read("a.json") is None
    assert not path.exists()
    assert drop.poll() == outcome(ingested=1)
    assert drop.payloads() == ["rewritten"]


def test_a_file_that_is_written_after_it_was_taken_waits(drop: Drop) -> None:
    drop.put("a.json")
    with open_inbox(drop.inbox, lambda status: True) as inbox:
        list(inbox.take(10))
    drop.put(".taken/a.json", "new", age=timedelta(0))
    assert drop.poll() == outcome(waiting=1)
    assert drop.poll(NOON + OLD) == outcome(ingested=1)
    assert drop.payloads() == ["new"]


def test_a_new_file_of_a_name_that_was_just_taken_is_another_one(drop: Drop) -> None:
    drop.put("a.json", "first")
    with open_inbox(drop.inbox, lambda status: True) as inbox:
        list(inbox.take(10))
    drop.put("a.json", "second")
    assert drop.poll() == outcome(ingested=2)
    assert sorted(drop.payloads()) == ["first", "second"]
    assert len(drop.names("processed")) == 2


def test_one_poll_at_a_time_is_at_work_in_an_inbox(drop: Drop) -> None:
    drop.put("a.json")
    with open_inbox(drop.inbox, lambda status: True):
        result = drop.poll()
        assert (result["status"], result["ingested"]) == ("ok", 0)
        assert "another poll" in result["note"]
    assert drop.poll() == outcome(ingested=1)


def test_the_assistants_own_lock_is_held_during_a_poll_and_respected(drop: Drop) -> None:
    drop.put("a.json")
    with open(drop.inbox / ".ingest.lock", "w") as theirs:
        with open_inbox(drop.inbox, lambda status: True), pytest.raises(BlockingIOError):
            fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(theirs, fcntl.LOCK_EX)
        assert "or the assistant itself" in drop.poll()["note"]
    assert drop.poll() == outcome(ingested=1)


@pytest.mark.parametrize("name", ["processed", "failed", ".taken", ".ingest.lock"])
def test_a_link_in_the_place_of_a_folder_of_the_inbox_is_not_followed(drop: Drop, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (drop.inbox / name).symlink_to(elsewhere / "file" if name == ".ingest.lock" else elsewhere)
    drop.put("a.json")
    drop.put_raw("bad.json")
    with pytest.raises(HandlerError, match=f"cannot use the inbox .*{name}"):
        drop.poll()
    assert list(elsewhere.iterdir()) == []
    assert drop.names() == {"a.json", "bad.json"}


def test_an_inbox_that_the_settings_reach_through_a_link_is_used(drop: Drop, tmp_path: Path) -> None:
    drop.put("a.json")
    (tmp_path / "link").symlink_to(drop.inbox)
    drop.inbox = tmp_path / "link"
    assert drop.poll() == outcome(ingested=1)


def test_a_poll_takes_a_bounded_number_of_files(drop: Drop) -> None:
    limits = Limits(batch_files=2, most_files=4)
    for number in range(7):
        drop.put(f"{number}.json", number)
    assert [drop.poll(limits=limits) for _ in range(2)] == [outcome(ingested=4, waiting=3), outcome(ingested=3)]
    assert sorted(drop.payloads()) == list(range(7))
    assert drop.notes() == 0


def test_a_poll_takes_a_bounded_number_of_bytes(drop: Drop) -> None:
    for number in range(7):
        drop.put(f"{number}.json", "x" * 1000)
    assert drop.poll(limits=Limits(batch_bytes=1000, most_bytes=2000)) == outcome(ingested=2, waiting=5)


def test_a_cancelled_poll_stops_after_its_batch(drop: Drop) -> None:
    for number in range(5):
        drop.put(f"{number}.json")
    context = a_context(drop.store)
    context.cancelled.set()
    assert WebhookPoll(drop.inbox, Limits(batch_files=2))(a_task(), context) == outcome(ingested=2, waiting=3)


def test_an_inbox_that_cannot_be_used_is_the_runs_error(drop: Drop) -> None:
    (drop.inbox / "processed").write_text("in the way")
    drop.put("a.json")
    with pytest.raises(HandlerError, match=r"cannot use the inbox .*/inbox: .*processed"):
        drop.poll()
    assert drop.names() == {"a.json"}


def without_room_in(folder: Path) -> Callable[..., None]:
    """A rename on a disk that is full as soon as something is moved to that folder."""
    real_rename = os.rename

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if os.path.samestat(os.fstat(dst_dir_fd), folder.stat()):
            raise OSError(errno.ENOSPC, "No space left on device")
        real_rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    return rename


def test_a_bad_file_that_cannot_be_moved_leaves_no_reason_behind_and_moves_later(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put_raw("bad.json")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", without_room_in(drop.inbox / "failed"))
        with pytest.raises(HandlerError, match="No space left"):
            drop.poll()
    assert drop.names("failed") == set()
    assert drop.poll() == outcome(failed=1)
    assert drop.names("failed") == {"bad.json", "bad.json.reason.txt"}


@pytest.mark.law(4)
def test_law_4_a_file_that_cannot_be_taken_is_told_and_keeps_no_other(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.json", "b.json"):
        drop.put(name)
    real_rename = os.rename

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if source == "a.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        real_rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        assert drop.poll()["troubles"] == ["a.json: No space left on device"]
    assert (drop.names("processed"), drop.names()) == ({"b.json"}, {"a.json"})


def test_a_file_that_its_sender_takes_back_in_that_moment_is_no_trouble(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = drop.put("a.json")

    def rename(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        dropped.unlink()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        assert drop.poll() == outcome()


@pytest.mark.law(3)
def test_law_3_a_file_that_cannot_be_moved_after_it_was_recorded_is_no_second_event(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("a.json", "once")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", without_room_in(drop.inbox / "processed"))
        for _ in range(3):
            with pytest.raises(HandlerError, match="No space left on device"):
                drop.poll()
    assert drop.poll() == outcome()
    assert drop.payloads() == ["once"]
    assert drop.names("processed") == {"a.json"}


def test_a_database_that_cannot_be_written_leaves_every_file_for_later(drop: Drop, tmp_path: Path) -> None:
    drop.put("a.json")
    with MemoryStore(tmp_path / "memory.db", busy_timeout=timedelta(0)) as impatient, drop.store.transaction():
        handler = WebhookPoll(drop.inbox)
        with pytest.raises(StoreBusyError):
            handler(a_task(), a_context(impatient))
    assert drop.events() == []
    assert drop.poll() == outcome(ingested=1)


class Crash(BaseException):
    """The process dies here."""


class CrashPoint:
    """Dies at the n-th point: before or after each rename, each sync and each transaction."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int) -> None:
        self.left = number
        for owner, name in ((os, "rename"), (os, "fsync"), (AssistantTables, "add_webhook_events")):
            patch.setattr(owner, name, self.wrapped(getattr(owner, name)))

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.pass_by()
            result = function(*arguments, **options)
            self.pass_by()
            return result

        return call

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash


@pytest.mark.law(3)
def test_law_3_each_file_is_one_event_wherever_the_process_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, crashed = 0, True
    while crashed:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        drop = Drop(folder)
        for name in ("a", "b", "c"):
            drop.put(f"{name}.json", name)
        drop.put_raw("bad.json")
        with monkeypatch.context() as patch:
            point = CrashPoint(patch, number)
            try:
                drop.poll(limits=Limits(batch_files=2))
            except Crash:
                crashed = True
            else:
                crashed = False
        drop.poll()
        assert sorted(drop.payloads()) == ["a", "b", "c"], f"at point {number}"
        assert drop.names("processed") == {"a.json", "b.json", "c.json"}
        assert len([name for name in drop.names("failed") if name.endswith(".json")]) == 1
        assert drop.names() == drop.names(".taken") == set()
        drop.store.close()
    assert point.left > 0
    assert number > 25


POLL_FOR_EVER = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from tests.support.handler_calls import a_context, a_task
from jarvis_trio.handlers.webhook_poll import Limits, WebhookPoll
from jarvis_trio.store import MemoryStore
from jarvis_trio.store.assistant import AssistantTables
store = MemoryStore(Path(sys.argv[1], "memory.db"))
print("ready", flush=True)
while True:
    WebhookPoll(Path(sys.argv[1], "inbox"))(a_task(), a_context(store))
"""


@pytest.mark.law(3)
@pytest.mark.slow
def test_law_3_each_file_is_one_event_however_often_the_process_is_killed(drop: Drop, tmp_path: Path) -> None:
    for number in range(2500):
        drop.put(f"{number}.json", number)
    for pause in (0.02, 0.05, 0.01, 0.08, 0.03):
        process = subprocess.Popen(
            [sys.executable, "-c", POLL_FOR_EVER, str(tmp_path)], cwd=CHECKOUT, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        with process:
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
    while drop.poll()["waiting"]:
        pass
    assert sorted(drop.payloads()) == list(range(2500))
    assert len(drop.names("processed")) == 2500


@pytest.mark.slow
@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_files(drop: Drop) -> None:
    peaks = []
    for count in (600, 1800):
        for number in range(count):
            drop.put(f"{number}-{count}.json", "x" * 100)
        tracemalloc.start()
        drop.poll()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.15


def test_the_lock_of_an_inbox_ends_with_its_poll(drop: Drop) -> None:
    drop.poll()
    descriptor = os.open(drop.inbox / ".taken", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
