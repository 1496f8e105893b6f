"""The single-instance lock, with real processes where another one matters."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jarvis_trio import __version__
from jarvis_trio.errors import AlreadyRunningError, JarvisError
from jarvis_trio.process.identity import Processes, current_owner
from jarvis_trio.process.lock import DaemonLock, Holder, holder, wake
from jarvis_trio.process.pulse import Pulse, last_pulse

CHECKOUT = Path(__file__).parents[2]
STARTED = datetime(2026, 11, 21, 19, 31, 5, tzinfo=UTC)
TICK = datetime(2026, 11, 21, 19, 32, 5, 123456, tzinfo=UTC)

# Holds the lock at argv[1] until it is killed; argv[2] is what it does before it says so.
HOLD = """
import os, select, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from jarvis_trio.process.lock import DaemonLock
from jarvis_trio.process.signals import HeldSignals
with HeldSignals(), DaemonLock(Path(sys.argv[1]), datetime(2026, 11, 21, 19, 31, 5, tzinfo=UTC)) as lock:
    exec(sys.argv[2])
    print("holds", flush=True)
    while not select.select([0], [], [], 0.05)[0]:  # a signal just before a read would wait for the read's end
        pass
"""
RECEIVE = "signal.signal(signal.SIGHUP, lambda *_: os.write(1, b'woken\\n'))"  # print may not interrupt print
PULSE = "lock.pulse(datetime(2026, 11, 21, 19, 32, 5, 123456, tzinfo=UTC))"
FIRST_LINES = [str(os.getpid()), "2026-11-21T19:31:05+00:00"]


class Hold:
    """Starts processes that hold the lock at `path`; ends what is left of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, also: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path), also],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        assert line_of(process) == "holds"
        return process

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate(timeout=180)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(timeout=180)


@pytest.fixture(autouse=True)
def _sighup_as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jarvis-daemon.lock"


@pytest.fixture
def hold(path: Path) -> Iterator[Hold]:
    hold = Hold(path)
    yield hold
    hold.end()


def told(path: Path) -> Holder | None:
    """Who holds the lock, without the owner's text, which no test can know."""
    found = holder(path)
    return found and found._replace(owner=None)


def test_the_file_tells_pid_start_version_and_owner_a_line_each(path: Path) -> None:
    with DaemonLock(path, STARTED):
        lines = path.read_text("ascii").splitlines()
        assert lines == [*FIRST_LINES, "".ljust(32), __version__, current_owner()]


@pytest.mark.parametrize("last", [TICK, STARTED], ids=["with a fraction", "on the second"])
def test_the_last_tick_is_told(last: datetime, path: Path, hold: Hold) -> None:
    process = hold(f"{PULSE}; lock.pulse(datetime.fromisoformat('{last.isoformat()}'))")
    assert told(path) == Holder(process.pid, STARTED, last, __version__)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is a text in the file")
def test_telling_of_a_tick_writes_nothing(path: Path) -> None:
    with DaemonLock(path, STARTED) as lock:
        before = (path.read_bytes(), path.stat().st_mtime_ns)
        for minute in range(10):
            lock.pulse(TICK + timedelta(minutes=minute))
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_elsewhere_than_on_linux_the_file_tells_of_the_last_tick(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb+") as file:
        pulse = Pulse(file.fileno(), 3, in_the_kernel=False)
        for instant in (TICK, STARTED):
            pulse.tell(instant)
        file.seek(3)
        assert last_pulse(file.fileno(), file.read().decode()) == STARTED


def test_a_lock_file_that_is_removed_is_made_again(path: Path) -> None:
    with DaemonLock(path, STARTED) as lock:
        assert lock.still_holds()
        path.unlink()
        assert lock.still_holds()
        assert told(path) == Holder(os.getpid(), STARTED, None, __version__)


@pytest.mark.law(2)
def test_a_lock_whose_name_another_daemon_has_is_lost(path: Path, hold: Hold) -> None:
    with DaemonLock(path, STARTED) as lock:
        path.unlink()
        hold()
        assert not lock.still_holds()
        assert not lock.still_holds()


def test_a_lock_whose_folder_is_gone_is_shared_with_nobody(path: Path) -> None:
    with DaemonLock(path, STARTED) as lock:
        path.unlink()
        path.parent.rmdir()
        assert lock.still_holds()
        assert not path.parent.exists()


@pytest.mark.parametrize("owner", ["{pid}:another-start@{place}", "{pid}:{start}@{boot}/1.2", "", "{pid}"])
def test_no_process_is_woken_that_merely_has_the_number(owner: str, path: Path) -> None:
    path.parent.mkdir()
    with subprocess.Popen(["sleep", "60"]) as innocent, path.open("w+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _, _, rest = Processes().owner(innocent.pid).partition(":")
        start, _, place = rest.partition("@")
        text = owner.format(pid=innocent.pid, start=start, place=place, boot=place.partition("/")[0])
        file.write(f"{innocent.pid}\n{STARTED.isoformat()}\n\n\n{text}\n")
        file.flush()
        assert not wake(path)
        assert innocent.poll() is None
        innocent.kill()


def test_file_and_folder_are_for_their_owner_alone(path: Path) -> None:
    with DaemonLock(path, STARTED):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_all_folders_above_the_file_are_made(tmp_path: Path) -> None:
    with DaemonLock(tmp_path / "not" / "yet" / "there" / "lock", STARTED) as lock:
        lock.pulse(TICK)
    assert holder(tmp_path / "not" / "yet" / "there" / "lock") is None


def test_the_file_is_never_unlinked(path: Path) -> None:
    with DaemonLock(path, STARTED):
        inode = path.stat().st_ino
    with DaemonLock(path, STARTED):
        assert path.stat().st_ino == inode


def test_what_a_dead_holder_left_is_replaced_whole(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("99999\n" * 20)
    with DaemonLock(path, STARTED):
        assert path.read_text("ascii").splitlines() == [*FIRST_LINES, "".ljust(32), __version__, current_owner()]


def test_who_looks_or_is_refused_leaves_no_descriptor_open(path: Path) -> None:
    with DaemonLock(path, STARTED):
        before = len(os.listdir("/dev/fd"))
        assert holder(path) is not None
        with pytest.raises(AlreadyRunningError):
            DaemonLock(path, STARTED).__enter__()
        with pytest.raises(JarvisError):
            holder(path.parent)
        assert len(os.listdir("/dev/fd")) == before


def test_a_second_daemon_is_refused_and_told_the_pid_of_the_first(path: Path, hold: Hold) -> None:
    first = hold()
    with pytest.raises(AlreadyRunningError, match=rf"^another daemon \(PID {first.pid}\) holds .*; look at it"):
        DaemonLock(path, STARTED).__enter__()
    assert holder(path) is not None


def test_killing_the_holder_frees_the_lock(path: Path, hold: Hold) -> None:
    kill(hold())
    with DaemonLock(path, STARTED):
        found = holder(path)
    assert found is not None
    assert found.pid == os.getpid()


EXECUTE = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], close_fds=False).pid
"""
FORK = """
child = os.fork()
child or signal.pause()
"""


@pytest.mark.parametrize("child", [EXECUTE, FORK], ids=["executed", "forked"])
def test_a_child_that_outlives_the_holder_does_not_keep_the_lock(child: str, path: Path, hold: Hold) -> None:
    process = hold(f"{child}Path(sys.argv[1]).with_name('child').write_text(str(child))")
    orphan = int(path.with_name("child").read_text("ascii"))
    try:
        kill(process)
        with DaemonLock(path, STARTED):
            os.kill(orphan, 0)  # it lives
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_the_holder_is_known_from_outside(path: Path, hold: Hold) -> None:
    process = hold(PULSE)
    assert told(path) == Holder(process.pid, STARTED, TICK, __version__)


def test_nobody_holds_a_lock_that_is_not_there(path: Path) -> None:
    assert holder(path) is None
    assert not path.parent.exists()


def test_nobody_holds_a_lock_whose_holder_has_ended(path: Path, hold: Hold) -> None:
    kill(hold(PULSE))
    assert path.read_text("ascii").count("\n") == 5
    assert holder(path) is None


@pytest.mark.parametrize("text", ["", "0\n", "-1\nnever\n", "99999999999999999999\n", "\0\xff\n\n\n\n"])
def test_a_holder_that_tells_nothing_of_use_is_a_holder_still(text: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert told(path) == Holder(None, None, None)
        assert not wake(path)
        with pytest.raises(AlreadyRunningError, match=r"another daemon \(PID unknown\) holds"):
            DaemonLock(path, STARTED).__enter__()


def test_a_daemon_that_starts_while_somebody_looks_is_not_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    with path.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        monkeypatch.setattr("jarvis_trio.process.lock.time.sleep", lambda _seconds: fcntl.flock(looking, fcntl.LOCK_UN))
        with DaemonLock(path, STARTED):
            assert told(path) == Holder(os.getpid(), STARTED, None, __version__)


def test_a_daemon_is_woken(path: Path, hold: Hold) -> None:
    process = hold(RECEIVE)
    assert wake(path)
    assert line_of(process) == "woken"


def test_waking_ends_no_daemon_whose_receiver_is_not_armed(path: Path, hold: Hold) -> None:
    process = hold()
    assert wake(path)
    assert told(path) == Holder(process.pid, STARTED, None, __version__)
    kill(process)
    assert process.returncode == -signal.SIGKILL  # and not SIGHUP


def test_a_program_that_the_daemon_starts_has_sighup_as_usual(path: Path, hold: Hold) -> None:
    hold("os.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', 'kill -HUP $$; touch ' + sys.argv[1] + '.survived')")
    assert not path.with_name(path.name + ".survived").exists()


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_daemon_that_cannot_be_signalled_is_no_error(
    error: type[OSError], path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise error

    hold()
    with monkeypatch.context() as patched:
        patched.setattr("jarvis_trio.process.lock.os.kill", refuse)
        assert not wake(path)


def _link(path: Path) -> None:
    path.with_name("target").touch()
    path.symlink_to("target")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, _link], ids=["folder", "fifo", "link"])
def test_what_is_no_plain_file_is_refused_in_one_line_and_left_alone(make: Callable[[Path], None], path: Path) -> None:
    path.parent.mkdir()
    make(path)
    before = path.lstat()
    for attempt in (DaemonLock(path, STARTED).__enter__, lambda: holder(path)):
        with pytest.raises(JarvisError, match=r"^cannot use the lock file .*; it must be a plain file[^\n]*$"):
            attempt()
    assert not wake(path)
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JarvisError, match=r"^cannot use the lock file .*/file/below/lock: Not a directory"):
        DaemonLock(tmp_path / "file" / "below" / "lock", STARTED).__enter__()


def test_a_full_disk_stops_no_tick(path: Path, hold: Hold) -> None:
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    process = hold(full + PULSE)
    last = TICK if sys.platform == "linux" else None  # elsewhere it is a text in the file
    assert told(path) == Holder(process.pid, STARTED, last, __version__)
